// Pictures at their full size, and PDFs, over the page: imported when somebody opens one.

let dialog = null;
let pictures = [];
let at = 0;

/** Show what a link in `files` leads to, with all the others there to go on to. */
export function openLightbox(files, link) {
  dialog ??= make();
  pictures = [...files.querySelectorAll(".file:not([hidden]) [data-view]")].map((one) => ({
    address: one.href,
    preview: one.dataset.preview,
    isPicture: one.dataset.view === "picture",
    name: one.querySelector(".file-name").textContent,
    id: one.closest(".file").id,
  }));
  at = pictures.findIndex(({ address }) => address === link.href);
  dialog.showModal();
  show();
}

function show() {
  const { address, preview, isPicture, name } = pictures[at];
  const picture = dialog.querySelector("img");
  dialog.dataset.state = "loading";
  dialog.querySelector("iframe")?.remove();
  picture.hidden = !isPicture;
  if (!isPicture) {
    picture.removeAttribute("src");
    const frame = document.createElement("iframe");
    frame.title = name;
    frame.src = preview;
    frame.addEventListener("load", () => (dialog.dataset.state = "shown"));
    picture.after(frame);
  } else {
    picture.src = preview;
    picture.alt = name;
  }
  dialog.querySelector("bdi").textContent = name;
  dialog.querySelector("[data-place]").textContent = pictures.length > 1 ? `${at + 1} of ${pictures.length}` : "";
  const link = dialog.querySelector("a");
  link.href = address;
  link.textContent = isPicture ? "New tab" : "Download";
  for (const button of dialog.querySelectorAll("[data-step]")) button.hidden = pictures.length < 2;
}

function step(by) {
  at = (at + by + pictures.length) % pictures.length;
  show();
}

function make() {
  const made = document.createElement("dialog");
  made.className = "lightbox";
  made.setAttribute("aria-label", "File");
  made.innerHTML = `<div class="lightbox-bar">
      <p><bdi></bdi> <span class="faint" data-place></span></p>
      <a target="_blank" rel="noopener">New tab</a>
      <button type="button" class="small" data-close>Close</button>
    </div>
    <div class="lightbox-stage">
      <button type="button" data-step="-1" aria-label="Previous file">←</button>
      <img alt="">
      <p class="problem" role="alert">This picture cannot be shown.</p>
      <button type="button" data-step="1" aria-label="Next file">→</button>
    </div>`;
  const picture = made.querySelector("img");
  picture.addEventListener("load", () => (made.dataset.state = "shown"));
  picture.addEventListener("error", () => (made.dataset.state = "failed"));
  made.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (button?.dataset.step) step(Number(button.dataset.step));
    // What is not the picture or a button is what lies behind.
    else if (!target.closest("img, a, p") && !button?.dataset.step) made.close();
  });
  made.addEventListener("keydown", ({ key }) => {
    if (pictures.length > 1 && key === "ArrowLeft") step(-1);
    if (pictures.length > 1 && key === "ArrowRight") step(1);
  });
  made.addEventListener("close", () => {
    picture.removeAttribute("src");
    made.querySelector("iframe")?.remove();
    document.getElementById(pictures[at]?.id)?.querySelector("a")?.focus();
  });
  document.body.append(made);
  return made;
}
