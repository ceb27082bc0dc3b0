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

/** Give every sample of code a button that copies it; `nameOf` says of which it is, for who listens. */
export function offerCopies(nameOf) {
  // Browsers lend the clipboard to secure pages only; elsewhere the text can be selected.
  if (!navigator.clipboard) return;
  for (const sample of document.querySelectorAll(".sample")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "small quiet copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy: ${nameOf(sample)}`);
    button.addEventListener("click", () => copy(sample.querySelector("code").textContent, button));
    sample.append(button);
  }
}
