// The room's address, to give to others, or to be somebody else oneself.

import { copy } from "./copying.js";
import { isLocked } from "./pass.js";

const KEY = "presence-second";
// How long a tab may take to open; later ones were opened by somebody for something else.
const SOON_MS = 20_000;

/** Make the button that copies the room's address work; `room.invites` does so for another, with its link. */
export function startInvite(room) {
  const link = document.getElementById("invite-link");
  link.addEventListener("focus", () => link.select());
  room.invites = (button, second) => {
    button.addEventListener("click", () => copy(link.value, button));
    // Left by the page itself, so that no link from elsewhere puts anybody into a call.
    second?.addEventListener("click", () => room.isCalling() && leaveWord(room.name));
  };
  room.invites(document.getElementById("invite-copy"), document.getElementById("invite-second"));
}

/** Tell whether this tab was opened, out of a call, to be a second person in it. */
export function isSecond(roomName) {
  try {
    const word = JSON.parse(localStorage.getItem(KEY));
    localStorage.removeItem(KEY);
    return word?.room === roomName && Math.abs(Date.now() - word.at) < SOON_MS;
  } catch {
    return false;
  }
}

function leaveWord(room) {
  // There, somebody else needs a token of their own.
  if (isLocked) return;
  try {
    localStorage.setItem(KEY, JSON.stringify({ room, at: Date.now() }));
  } catch {
    // Then they join by themselves.
  }
}
