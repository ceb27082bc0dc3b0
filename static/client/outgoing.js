// What goes to one peer: what its calls and its connection send, and what it is told of that.

const KINDS = { muted: "audio", hidden: "video" };

/** Gathers what is sent to a peer. `sources()` returns every `Media` of it, `maySend()` whether any goes. */
export class Outgoing {
  #sources;
  #maySend;
  #told = null;

  constructor(sources, maySend) {
    this.#sources = sources;
    this.#maySend = maySend;
  }

  /** Every part that is sent, once, as `Sending` takes them. */
  get parts() {
    const parts = new Map();
    const maySend = this.#maySend();
    for (const { parts: some, paused } of this.#sources()) {
      for (const part of some) {
        if (!parts.has(part.track)) parts.set(part.track, { part, isPaused: paused[part.kind] || !maySend });
      }
    }
    return [...parts.values()];
  }

  /** What is switched off: `{ muted, hidden }`. */
  get off() {
    const sources = this.#sources();
    const isOff = (kind) =>
      !this.#maySend() ||
      (sources.some(({ paused }) => paused[kind]) &&
        sources.every(({ parts, paused }) => paused[kind] || !parts.some((part) => part.kind === kind)));
    return Object.fromEntries(Object.entries(KINDS).map(([name, kind]) => [name, isOff(kind)]));
  }

  /** Return what is off, to be told to the peer. */
  tell() {
    const { off } = this;
    this.#told = JSON.stringify(off);
    return off;
  }

  /** Tell whether the peer was told something else. */
  get isNews() {
    return JSON.stringify(this.off) !== this.#told;
  }
}
