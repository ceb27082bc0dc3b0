// The page of the API: its search, the language of its samples, buttons that copy them and that try
// a route here.

import { offerCopies } from "./copying.js";

const KEY = "presence-language";
const LANGUAGES = ["curl", "JavaScript", "Python"];

const get = (id) => document.getElementById(id);
const search = get("api-search");
const found = get("found");
const entries = [...document.querySelectorAll("[data-entry]")];
const cards = entries.filter((entry) => entry.localName === "article");
const homes = new Map(cards.map((card) => [card, card.parentElement]));
const text = (element) => element?.textContent.toLowerCase() ?? "";
const texts = new Map(entries.map((entry) => [entry, text(entry)]));
const titles = new Map(entries.map((entry) => [entry, text(entry.querySelector("h3 code, dt"))]));

/** Show only the entries that have every word that was typed, those first whose title has them. */
function show() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (where, entry) => words.every((word) => where.get(entry).includes(word));
  let count = 0;
  for (const entry of entries) {
    entry.hidden = !has(texts, entry);
    if (!entry.hidden) count += 1;
    const link = document.querySelector(`.contents [data-for="${entry.id}"]`);
    if (link) link.hidden = entry.hidden;
  }
  // Back to where they belong, in their order; then out of there again, the best first.
  for (const card of cards) homes.get(card).append(card);
  if (words.length) {
    const shown = cards.filter((card) => !card.hidden);
    const rank = (card) => (titles.get(card) === words.join(" ") ? 0 : has(titles, card) ? 1 : 2);
    found.append(...shown.sort((one, other) => rank(one) - rank(other)));
  }
  found.hidden = !words.length;
  for (const group of document.querySelectorAll("[data-group]")) {
    group.hidden = words.length > 0 && !group.querySelector("[data-entry]:not([hidden])");
  }
  for (const head of document.querySelectorAll("[data-head]")) {
    const inside = head.dataset.head ? get(head.dataset.head).closest("[data-group]") : head.nextElementSibling;
    head.hidden = words.length > 0 && !inside.querySelector("li:not([hidden]), [data-entry]:not([hidden])");
  }
  get("nothing").hidden = count > 0;
  get("api-found").textContent = words.length ? `${count} of ${entries.length} entries` : "";
}

get("api-bar").hidden = false;
search.addEventListener("input", () => {
  show();
  if (search.value && get("entries").getBoundingClientRect().top < 0) get("entries").scrollIntoView();
});
// A browser keeps what was typed when it comes back to a page.
if (search.value) show();

search.setAttribute("aria-keyshortcuts", "/");
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    search.focus();
  }
});

// What a link leads to is shown, whatever is typed in the search.
window.addEventListener("hashchange", () => {
  const target = get(decodeURIComponent(location.hash.slice(1)));
  if (target && (target.closest("[hidden]") || found.contains(target))) {
    search.value = "";
    show();
    target.scrollIntoView();
  }
});

/** Show every sample in one language; what has none in it is shown in the next that it has. */
function choose(language) {
  for (const button of document.querySelectorAll("[data-choose]")) button.ariaPressed = String(button.dataset.choose === language);
  for (const samples of document.querySelectorAll("[data-languages]")) {
    const all = [...samples.children];
    const shown = all.find((one) => one.dataset.language === language) ?? all[0];
    for (const one of all) one.hidden = one !== shown;
  }
}

for (const button of document.querySelectorAll("[data-choose]")) {
  button.addEventListener("click", () => {
    choose(button.dataset.choose);
    localStorage.setItem(KEY, button.dataset.choose);
  });
}
const kept = localStorage.getItem(KEY);
choose(LANGUAGES.includes(kept) ? kept : LANGUAGES[0]);

// On a phone the contents lie over the page, until one has chosen.
const button = get("contents-button");
function open(isOpen) {
  button.ariaExpanded = String(isOpen);
  get("contents").classList.toggle("open", isOpen);
  // The button, which closes them too, stays beside them.
  if (isOpen) get("api-bar").scrollIntoView();
}
button.addEventListener("click", () => {
  open(button.ariaExpanded !== "true");
  if (button.ariaExpanded === "true") get("contents").querySelector("a").focus();
});
document.addEventListener("click", ({ target }) => {
  const isInside = target.closest("#contents, #contents-button");
  if (!isInside || target.closest("#contents a")) open(false);
});
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape" || button.ariaExpanded !== "true") return;
  open(false);
  button.focus();
});

for (const one of document.querySelectorAll("[data-try]")) {
  one.hidden = false;
  one.addEventListener("click", async () => {
    one.disabled = true;
    try {
      const { startTrying } = await import("./try-it.js");
      await startTrying(one);
      one.hidden = true;
    } catch {
      one.disabled = false;
      one.textContent = "The server does not answer. Try again";
    }
  });
}

const contents = get("contents");
let isDue = false;

/** Mark in the contents what one reads: the last entry that begins above a line below the search. */
function markPlace() {
  isDue = false;
  const line = innerHeight / 4;
  let [place, begins] = [null, -Infinity];
  for (const entry of entries) {
    const { top } = entry.getBoundingClientRect();
    if (!entry.hidden && top <= line && top >= begins) [place, begins] = [entry, top];
  }
  // The codes, which are many, have one link for all.
  const at = place?.id.startsWith("code-") ? "[data-head=codes]" : `[data-for="${place?.id}"]`;
  const link = contents.querySelector(`${at} a`);
  const before = contents.querySelector("[aria-current]");
  if (link === before) return;
  before?.removeAttribute("aria-current");
  if (!link) return;
  link.ariaCurrent = "location";
  // The page itself stays where it is.
  const { top, bottom } = link.getBoundingClientRect();
  const box = contents.getBoundingClientRect();
  if (top < box.top || bottom > box.bottom) contents.scrollTop += top - box.top - box.height / 2;
}

const markSoon = () => isDue || (isDue = Boolean(requestAnimationFrame(markPlace)));
addEventListener("scroll", markSoon, { passive: true });
search.addEventListener("input", markSoon);

offerCopies((sample) => sample.querySelector("figcaption").textContent);
