// The overview: keeps the list of rooms live, and searches it while one types.

import { connectPage } from "./connection.js";
import { refresher } from "./refresh.js";
import "./times.js";

const changed = refresher("rooms-changed");

connectPage({
  onSocket: (socket) => socket.on("rooms_changed", changed),
  onConnected(socket) {
    socket.emit("watch", {});
    changed();
  },
});

const form = document.getElementById("search-form");

function search() {
  document.getElementById("page-number").value = 1;
  document.body.dispatchEvent(new CustomEvent("rooms-search"));
}

form.addEventListener("input", search);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
