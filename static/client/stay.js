// One stay in one room: from `join` until it ends, reconnects included.

/** What a client wants, and what became of it so far. */
export class Stay {
  /** Whether the server let us in at least once, and whether we are in now. */
  wasIn = false;
  isIn = false;
  /** Whether it waits in front of a room with a lobby, and what the server said when it was in last. */
  isWaiting = false;
  answer = null;
  /** The error for whatever waits for this stay, once it is over. */
  ended = null;
  /** The `join` that waits for an answer: `{ resolve, reject, timer, waitForPlace }`, or null. */
  attempt = null;
  /** What the server said last against it, and how often it did in a row. */
  refusal = null;
  refusals = 0;

  /** @param {object} message what `join_room` takes */
  constructor(message) {
    this.message = message;
  }

  get roomName() {
    return this.message.room_name;
  }

  get peerId() {
    return this.message.peer_id;
  }

  /** Tell whether a body of the server, or another join, is about this stay. */
  isOf({ room_name, peer_id }) {
    return isSame(room_name, this.roomName) && (peer_id === undefined || isSame(peer_id, this.peerId));
  }

  /** Let the server keep the data from now on: others may change it. */
  dropData() {
    const { user_data: _once, ...message } = this.message;
    this.message = message;
  }

  /** End the `join` that waits, if one does, by `resolve` or `reject`. */
  settle(how, value) {
    const { attempt } = this;
    this.attempt = null;
    if (!attempt) return;
    clearTimeout(attempt.timer);
    attempt[how](value);
  }
}

/** Compare two names as the server does: whichever way Unicode writes them. */
function isSame(one, other) {
  const plain = (text) => text?.normalize?.("NFC") ?? text;
  return plain(one) === plain(other);
}
