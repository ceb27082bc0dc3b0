// The overview: keeps the list of rooms live, and searches it while one types.

import { refresher } from "./refresh.js";
import "./times.js";
import { watchRooms } from "./watching.js";

const changed = refresher("rooms-changed");

watchRooms(changed);

const form = document.getElementById("search-form");

function search() {
  document.getElementById("page-number").value = 1;
  // Where one reloads, or sends the address to somebody, the same is found.
  const address = new URL(location.href);
  address.searchParams.delete("page");
  const wanted = document.getElementById("search").value.trim();
  if (wanted) address.searchParams.set("search", wanted);
  else address.searchParams.delete("search");
  history.replaceState(history.state, "", address);
  document.body.dispatchEvent(new CustomEvent("rooms-search"));
}

form.addEventListener("input", search);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});

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
