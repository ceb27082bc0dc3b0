// A peer with several sessions, of which the one that was told something is the wrong one, since it
// takes no calls, or has not the connection that it was about: the others are asked.

/** Asks the other sessions of a peer, as long as none has been found. */
export class Ringing {
  #link;
  #peerId;
  #refused = [];
  #timer = null;

  constructor(link, peerId) {
    this.#link = link;
    this.#peerId = peerId;
  }

  /** Whether a session is looked for. */
  get isOn() {
    return this.#refused.length > 0;
  }

  /** A session refused: ask the others; `inVain()` is called if none of them answers. */
  async next(session, inVain) {
    clearTimeout(this.#timer);
    this.#refused.push(session);
    const isAsked = await this.#link.ring(this.#peerId, this.#refused).catch(() => false);
    if (!isAsked) return inVain();
    this.#timer = setTimeout(inVain, this.#link.patience);
  }

  /** Tell whether a session that answers may be the one that is looked for. */
  found(session) {
    if (!this.isOn || this.#refused.includes(session)) return false;
    clearTimeout(this.#timer);
    return true;
  }

  /** Somebody answered, or it is of no use any more. */
  end() {
    this.#refused = [];
    clearTimeout(this.#timer);
  }
}
