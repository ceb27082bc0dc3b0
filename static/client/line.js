// The line to the server: one Socket.IO connection, kept for as long as somebody wants it.

import { PresenceError } from "./base.js";
import { tokenOf, unreachable } from "./http.js";
import { ask, findIo, refusalOf } from "./socket.js";

/** How long to wait before the first, second … further attempt, in milliseconds. */
export const RETRY_MS = [500, 1000, 2000, 5000];

// A refusal of these kinds passes; any other would only be repeated.
const PASSING = new Set([
  "internal_error",
  "issuer_unavailable",
  "maintenance",
  "not_ready",
  "server_full",
  "shutting_down",
  "storage_unavailable",
  "timeout",
  "too_many_connects",
  "too_many_events",
  "too_many_failed_tokens",
  "too_many_requests",
  "too_many_sockets",
  "unconfirmed",
  "unreachable",
]);

// A token that was good once is not any more: a function may know the next one.
const ENDED = new Set(["token_expired", "token_revoked"]);

/** Tell whether the same may be answered differently a little later. */
export function isPassing({ code }) {
  return PASSING.has(code);
}

/** Return how long to wait before another attempt; the server may have said. */
export function delayOf(attempt, error) {
  const asked = Number(error?.body?.retry_after) * 1000;
  return Math.max(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)], asked || 0);
}

/**
 * A connection that is opened by `hold` and ended by `drop`, and comes back by itself in between.
 *
 * `handlers` are told: `up()`, `down(reason)`, `refused(error)` when the server will not have us (the
 * line is dropped then), `troubled(error)` of what may pass, and `event(name, body)`. They are asked
 * `wantsPlace()`: whether the server is to put us back where the connection that was lost was.
 */
export class Line {
  /** The socket of socket.io-client, or null. */
  socket = null;
  /** The token that was shown last. */
  token = null;

  #address;
  #options;
  #handlers;
  // Each goes up with what makes an earlier opening, or asking for a token, stale.
  #turn = 0;
  #asking = 0;
  #isOpening = false;
  #refusals = 0;
  #timer = null;
  #wake = null;
  #trouble = null;
  #isWaitingForToken = false;

  constructor(address, options, handlers) {
    this.#address = address;
    this.#options = options;
    this.#handlers = handlers;
  }

  get isUp() {
    return this.socket?.connected ?? false;
  }

  /** Why the line is not up. */
  get problem() {
    if (this.#trouble) return this.#trouble;
    if (!this.#isWaitingForToken) return unreachable(`${this.#address.origin}${this.#address.path}/`);
    return new PresenceError(
      "token_failed",
      "The function that is to give a token has not given one in time.",
    );
  }

  /** Open the line unless it is open, or being opened. */
  async hold() {
    if (this.socket || this.#isOpening) return;
    this.#isOpening = true;
    const turn = ++this.#turn;
    try {
      const io = await findIo(this.#options.io);
      if (turn !== this.#turn) return;
      this.#isOpening = false;
      this.#open(io);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.drop();
      this.#handlers.refused(error);
    }
  }

  /** End the line. The server takes the next one for somebody new: it puts nobody back. */
  drop() {
    this.#turn += 1;
    this.#asking += 1;
    this.#isOpening = false;
    this.#wake?.();
    clearTimeout(this.#timer);
    this.#trouble = null;
    this.#isWaitingForToken = false;
    this.#refusals = 0;
    const { socket } = this;
    this.socket = null;
    if (!socket) return;
    socket.disconnect();
    socket.off();
    socket.offAny();
  }

  /** Ask the server; rejects with its error, `timeout` or `connection_lost`. */
  ask(event, data, milliseconds) {
    return ask(this.socket, event, data, milliseconds);
  }

  #open(io) {
    const socket = io(this.#address.origin, {
      path: `${this.#address.path}/socket.io`,
      forceNew: true,
      reconnectionDelay: 500,
      reconnectionDelayMax: 3000,
      auth: (give) => this.#authorize(socket, give),
      ...this.#options.socket,
      autoConnect: false,
    });
    this.socket = socket;
    const current = (handler) => (...values) => socket === this.socket && handler(...values);
    socket.on("connect", current(() => {
      this.#trouble = null;
      this.#refusals = 0;
      this.#handlers.up();
    }));
    socket.on("disconnect", current((reason) => {
      // Unless the server hung up, socket.io-client comes back by itself.
      if (!socket.active) this.#again(socket, null);
      this.#handlers.down(reason);
    }));
    socket.on("connect_error", current((error) => this.#failed(socket, error)));
    socket.onAny(current((name, body) => this.#handlers.event(name, body)));
    socket.connect();
  }

  #failed(socket, error) {
    const refusal = refusalOf(error);
    if (socket.active) {
      // Nobody answered, or somebody who is not the server; it is tried again.
      this.#trouble = refusal.code === "refused" ? null : refusal;
      return;
    }
    const mayHaveAnother = ENDED.has(refusal.code) && typeof this.#options.token === "function";
    if (isPassing(refusal) || mayHaveAnother) {
      this.#trouble = refusal;
      this.#handlers.troubled(refusal);
      this.#again(socket, refusal);
      return;
    }
    this.drop();
    this.#handlers.refused(refusal);
  }

  #again(socket, refusal) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => socket.connect(), delayOf(this.#refusals++, refusal));
  }

  /** Show the server who comes: a token that is good now, however often getting one fails. */
  async #authorize(socket, give) {
    // socket.io-client adds the secret by which the server knows whom it lost; this takes it out.
    const show = (auth) => give(this.#handlers.wantsPlace() ? auth : { ...auth, pid: undefined });
    if (!this.#options.token) return void show({});
    const turn = ++this.#asking;
    const { engine } = socket.io;
    // Meanwhile the connection may have been lost or ended; the next one asks for itself.
    const isStale = () => turn !== this.#asking || engine !== socket.io.engine || engine.readyState !== "open";
    this.#isWaitingForToken = true;
    this.#trouble = null;
    for (let attempt = 0; !isStale(); attempt += 1) {
      try {
        const token = await tokenOf(this.#options.token);
        if (isStale()) break;
        this.#isWaitingForToken = false;
        this.token = token;
        show({ token });
        return;
      } catch (error) {
        if (isStale()) break;
        this.#trouble = error;
        this.#handlers.troubled(error);
      }
      await new Promise((later) => {
        const timer = setTimeout(later, delayOf(attempt));
        this.#wake = () => {
          clearTimeout(timer);
          later();
        };
      });
    }
    if (turn === this.#asking) this.#isWaitingForToken = false;
  }
}
