// The data channel of a connection: what does not fit is refused, and what is too much waits.

import { PresenceError } from "./base.js";

// More than this does not wait in the browser but here, until half of it is gone.
const FULL = 1024 * 1024;
// What every implementation takes (RFC 8831 leaves it to the peers; RFC 8841 has this default).
const USUAL_SIZE = 64 * 1024;

/** The data channel that both sides open as number 0, and what is sent over it, in order. */
export class Channel {
  #pc;
  #peerId;
  #waiting = [];
  #isEnded = false;

  /** `tell` has `opened()`, `ended()` and `heard(message)`. */
  constructor(pc, peerId, tell) {
    this.#pc = pc;
    this.#peerId = peerId;
    const channel = pc.createDataChannel("presence", { negotiated: true, id: 0 });
    this.channel = channel;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = FULL / 2;
    const current = (handler) => (event) => this.#isEnded || handler(event);
    channel.addEventListener("open", current(() => tell.opened()));
    channel.addEventListener("message", current(({ data }) => tell.heard(data)));
    channel.addEventListener("bufferedamountlow", current(() => this.#flush()));
    channel.addEventListener("close", current(() => {
      this.#flush();
      tell.ended();
    }));
  }

  /** Send; resolves once there was room for it. Rejects with `not_open`, `too_large` or `not_sent`. */
  send(message) {
    return new Promise((resolve, reject) => {
      const size = sizeOf(message);
      const limit = this.#pc.sctp?.maxMessageSize || USUAL_SIZE;
      if (size > limit) {
        const detail = `The message has ${size} bytes; the channel to “${this.#peerId}” takes ${limit} at once. Send it in parts.`;
        reject(new PresenceError("too_large", detail, { limit }));
        return;
      }
      this.#waiting.push({ message, resolve, reject });
      this.#flush();
    });
  }

  /** It is of no use any more: reject what waits, for no event comes of a channel closed here. */
  end() {
    this.#isEnded = true;
    this.#flush();
  }

  #flush() {
    const { channel } = this;
    while (this.#waiting.length > 0) {
      const isOpen = channel.readyState === "open" && !this.#isEnded;
      if (isOpen && channel.bufferedAmount >= FULL) return;
      const { message, resolve, reject } = this.#waiting.shift();
      try {
        if (!isOpen) throw notOpen(this.#peerId);
        channel.send(message);
        resolve();
      } catch (error) {
        const isOurs = error instanceof PresenceError;
        reject(isOurs ? error : new PresenceError("not_sent", `The message was not sent: ${error.message}`, {}, { cause: error }));
      }
    }
  }
}

/** The error of a channel that is not open. */
export function notOpen(peerId) {
  return new PresenceError("not_open", `The data channel to “${peerId}” is not open now.`);
}

function sizeOf(message) {
  if (typeof message === "string") return new TextEncoder().encode(message).byteLength;
  return message?.byteLength ?? message?.size ?? 0;
}
