// The overview: keeps the list of rooms live, and searches it while one types.

import { refresher } from "./refresh.js";
import "./times.js";
import { watchRooms } from "./watching.js";

const changed = refresher("rooms-changed");

watchRooms(changed);

// What is looked at is in the address: a reload shows the same, Back what was before, and so does
// whoever gets a link.
const form = document.getElementById("search-form");
const [field, active, view, sort] = ["search", "active", "view", "sort"].map((id) => document.getElementById(id));

function address() {
  const made = new URL(location.href);
  const chosen = { search: field.value.trim(), active: active.checked ? "1" : "", view: view.value, sort: sort.value, page: "" };
  for (const [name, value] of Object.entries(chosen)) {
    if (value) made.searchParams.set(name, value);
    else made.searchParams.delete(name);
  }
  return made;
}

/** Show what is chosen now; each choice is a step back, but not each letter. */
function look(isStep) {
  const there = address();
  if (there.href === location.href) return;
  history[isStep ? "pushState" : "replaceState"](history.state, "", there);
  ask();
}

function ask() {
  sort.disabled = !sort.value;
  document.getElementById("page-number").value = new URL(location.href).searchParams.get("page") ?? 1;
  document.body.dispatchEvent(new CustomEvent("rooms-search"));
}

field.addEventListener("input", () => look(false));
for (const choice of [active, view]) choice.addEventListener("change", () => look(true));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  look(false);
});
document.getElementById("rooms").addEventListener("click", (event) => {
  const wanted = event.target.closest("[data-sort]")?.dataset.sort;
  if (wanted === undefined || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  sort.value = wanted;
  look(true);
});

/** Let the fields say what the address does. */
function read() {
  const said = new URL(location.href).searchParams;
  field.value = said.get("search") ?? "";
  active.checked = said.get("active") === "1";
  view.value = said.get("view") === "table" ? "table" : "";
  sort.value = said.get("sort") ?? "";
}
addEventListener("popstate", () => {
  read();
  ask();
});
// A browser puts back what was in the fields, which may be of another step.
addEventListener("pageshow", ({ persisted }) => persisted || read());

// No card moves away from under the pointer: as long as it is there, all stay where they are.
const rooms = document.getElementById("rooms");
const cards = () => [...rooms.querySelectorAll(".room-card")];
let places = null;

function hold() {
  if (!places) return;
  for (const card of cards()) {
    if (!places.has(card.id)) places.set(card.id, places.size);
    card.style.order = places.get(card.id);
  }
}

rooms.addEventListener("pointerenter", ({ pointerType }) => {
  if (pointerType !== "touch") places = new Map(cards().map((card, index) => [card.id, index]));
  hold();
});
rooms.addEventListener("pointerleave", () => {
  places = null;
  for (const card of cards()) card.style.removeProperty("order");
});
document.addEventListener("htmx:after:swap", hold);
