// Why somebody is not in a room, as the server tells it.

// Whoever is away for one of these may only be reconnecting.
const MAY_COME_BACK = new Set(["disconnected", "expired"]);

const WORDS = {
  left: "left the room",
  left_over_rest: "left the room",
  kicked: "was put out of the room",
  banned: "was banned from the room",
  room_closed: "had to go, for the room was closed",
  erased: "was erased from the room",
};

/** Tell whether somebody who is not here has gone, as opposed to being away for a moment. */
export function hasGone(reason) {
  return typeof reason === "string" && !MAY_COME_BACK.has(reason);
}

/** Say why a call to somebody ended. */
export function wordsForGone(peerId, reason) {
  return `“${peerId}” ${WORDS[reason] ?? "is not in the room any more"}.`;
}
