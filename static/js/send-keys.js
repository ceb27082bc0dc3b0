// In a field of several lines Enter begins a line, so that it takes another key with it to send.

/** Let Ctrl or ⌘ with Enter do, anywhere in a form, what its button does. */
export function sendWithKeys(form) {
  const button = form.querySelector("button:not([type=button])");
  button.title ||= "Ctrl+Enter";
  button.ariaKeyShortcuts = "Control+Enter";
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    // A key that is held down asks for nothing more.
    if (!event.repeat && !button.disabled) form.requestSubmit(button);
  });
}
