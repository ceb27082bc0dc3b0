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
    for (const media of this.#sources()) {
      for (const part of media.parts) {
        const isPaused = (media.paused[part.kind] && media.nameOf(part) === null) || !maySend;
        if (!parts.has(part.track)) parts.set(part.track, { part, isPaused });
      }
    }
    return [...parts.values()];
  }

  /** What is switched off, `{ muted, hidden }`: of streams with a name nothing ever is. */
  get off() {
    const sources = this.#sources();
    const isOff = (kind) =>
      !this.#maySend() ||
      (sources.some(({ paused }) => paused[kind]) &&
        sources.every((media) => media.paused[kind] || !media.parts.some((one) => one.kind === kind && media.nameOf(one) === null)));
    return Object.fromEntries(Object.entries(KINDS).map(([name, kind]) => [name, isOff(kind)]));
  }

  /** The names of streams that have one, by the id in which the peer sees them. */
  get streams() {
    const named = this.#sources().flatMap((media) => media.parts.map((part) => [part.shown?.id, media.nameOf(part)]));
    return Object.fromEntries(named.filter(([id, name]) => id && name !== null));
  }

  /** Return what is off, and what is called what, to be told to the peer. */
  tell() {
    const news = this.#news;
    this.#told = JSON.stringify(news);
    return news;
  }

  /** Tell whether the peer was told something else. */
  get isNews() {
    return JSON.stringify(this.#news) !== this.#told;
  }

  get #news() {
    const { off, streams } = this;
    return Object.keys(streams).length > 0 ? { ...off, streams } : off;
  }
}
