// The search on the page of the API, and a button that copies each example.

const search = document.querySelector("#api-search");
const found = document.querySelector("#api-found");
const entries = [...document.querySelectorAll("[data-entry]")];
const texts = new Map(entries.map((entry) => [entry, entry.textContent.toLowerCase()]));

/** Show only the entries that have every word that was typed. */
function show() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const entry of entries) {
    entry.hidden = !words.every((word) => texts.get(entry).includes(word));
    if (!entry.hidden) count += 1;
    const link = document.querySelector(`.contents [data-for="${entry.id}"]`);
    if (link) link.hidden = entry.hidden;
  }
  for (const group of document.querySelectorAll("[data-group]")) {
    group.hidden = words.length > 0 && !group.querySelector("[data-entry]:not([hidden])");
  }
  found.textContent = words.length ? `${count} of ${entries.length} entries` : "";
}

search.hidden = false;
search.addEventListener("input", show);
// A browser keeps what was typed when it comes back to a page.
show();

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    search.focus();
  }
});

// What a link leads to is shown, whatever is typed in the search.
window.addEventListener("hashchange", () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.closest("[hidden]")) {
    search.value = "";
    show();
    target.scrollIntoView();
  }
});

// Browsers lend the clipboard to secure pages only; elsewhere the text can be selected.
if (navigator.clipboard) {
  for (const sample of document.querySelectorAll(".sample")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "small quiet copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy: ${sample.querySelector("figcaption").textContent}`);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(sample.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    sample.append(button);
  }
}
