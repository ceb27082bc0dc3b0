// The room's address, to give to others.

import { copy } from "./copying.js";

/** Make the button that copies the room's address work. */
export function startInvite() {
  const link = document.getElementById("invite-link");
  link.addEventListener("focus", () => link.select());
  document.getElementById("invite-copy").addEventListener("click", ({ currentTarget }) => copy(link.value, currentTarget));
}
