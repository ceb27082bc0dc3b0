// Kept broadcasts as a program hears them: each once and in order, also those of the time in which the
// connection was lost.

/**
 * Follows the numbers of a room's kept broadcasts. `sync(since)` asks the server for what was missed, and
 * resolves with whether that has to be asked again.
 */
export class Broadcasts {
  /** Whether those are wanted too that were kept before one came. */
  wantsHistory = false;

  #sync;
  // The last that was heard, or null: nothing is known of any.
  #last = null;
  // Whether the server is telling what was missed. What is said meanwhile it tells again, in its place.
  #isBehind = false;
  // The last question for it; an older one is not asked again.
  #question = null;

  constructor(sync) {
    this.#sync = sync;
  }

  /** This connection is in the room, maybe again after another one was. */
  entered({ last_broadcast: newest }) {
    if (newest === undefined) return;
    this.#isBehind = false;
    if (this.#last === null && this.wantsHistory) this.#last = 0;
    this.#last ??= newest;
    if (this.#last !== newest) this.#catchUp();
  }

  /** It is in none, or in another one. */
  left() {
    this.#last = null;
    this.#isBehind = false;
  }

  /** Tell whether a broadcast is to be heard. */
  takes({ id, replayed = false }) {
    if (id === undefined) return true;
    if (replayed !== this.#isBehind || (this.#last !== null && id <= this.#last)) return false;
    this.#last = id;
    return true;
  }

  /** What one has said is not heard. */
  said({ id }) {
    if (id !== undefined && this.#last !== null && !this.#isBehind) this.#last = Math.max(this.#last, id);
  }

  /** The server has told what was missed, or a part of it. */
  caughtUp({ last, more }) {
    if (!this.#isBehind) return;
    this.#last = last;
    if (more) this.#catchUp();
    else this.#isBehind = false;
  }

  #catchUp() {
    this.#isBehind = true;
    const question = (this.#question = {});
    void this.#sync(this.#last).then((isAgain) => {
      if (isAgain && this.#isBehind && this.#question === question) this.#catchUp();
    });
  }
}
