// What every part of the client stands on: its one error, and objects with events.

/** A condition that the server, the network or the client itself reports. */
export class PresenceError extends Error {
  /**
   * @param {string} code what a program compares
   * @param {string} detail what a person reads
   * @param {object} [body] the server's whole answer
   * @param {{ cause?: unknown }} [options] the error behind this one
   */
  constructor(code, detail, body = {}, options = undefined) {
    super(detail, options);
    this.name = "PresenceError";
    this.code = code;
    this.detail = detail;
    this.body = body;
  }
}

/** An object that tells listeners what happens to it. */
export class Emitter {
  #listeners = new Map();

  /** Call `listener` whenever `event` happens; returns a function that stops it. */
  on(event, listener) {
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event).add(listener);
    return () => this.off(event, listener);
  }

  /** Call `listener` the next time `event` happens; returns a function that stops it. */
  once(event, listener) {
    const stop = this.on(event, (...values) => {
      stop();
      listener(...values);
    });
    return stop;
  }

  /** Stop calling `listener`. */
  off(event, listener) {
    this.#listeners.get(event)?.delete(listener);
  }

  /** Forget every listener. */
  removeAllListeners() {
    this.#listeners.clear();
  }

  /** Tell whether anybody listens to `event`. */
  hasListener(event) {
    return (this.#listeners.get(event)?.size ?? 0) > 0;
  }

  /** Tell the listeners of `event`. One that throws is reported and does not stop the others. */
  emit(event, ...values) {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(...values);
      } catch (error) {
        console.error(`a listener of “${event}” failed:`, error);
      }
    }
  }
}

/** Compare two texts by Unicode code points, as every language can, for a value below, at or above 0. */
export function compare(left, right) {
  const [a, b] = [[...left], [...right]];
  const at = a.findIndex((character, index) => character !== b[index]);
  if (at < 0) return a.length - b.length;
  return at >= b.length ? 1 : a[at].codePointAt(0) - b[at].codePointAt(0);
}

/** Return a new random id that starts with `prefix`. */
export function randomId(prefix) {
  const random = () => Math.random().toString(36).slice(2, 12);
  // React Native has no crypto.randomUUID, and browsers have it only on secure pages.
  return prefix + (globalThis.crypto?.randomUUID?.() ?? random() + random());
}

/** Split a server's address into its origin and the path below which it is served. */
export function splitAddress(url) {
  const [, origin, path] = /^([a-z]+:\/\/[^/?#]+)([^?#]*)/i.exec(url) ?? [];
  if (!origin) {
    throw new PresenceError(
      "invalid_address",
      `“${url}” is not the address of a server. Give one such as https://presence.example.org.`,
    );
  }
  return { origin, path: path.replace(/\/+$/, "") };
}
