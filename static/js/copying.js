// Buttons that copy a text, and say whether they could.

/** Copy a text; the button says so for a moment. */
export async function copy(text, button) {
  const usual = (button.dataset.usual ??= button.textContent);
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // Browsers lend the clipboard to secure pages only.
    button.textContent = "Copying needs HTTPS or localhost";
  }
  setTimeout(() => (button.textContent = usual), 2000);
}
