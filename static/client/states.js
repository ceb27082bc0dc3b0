// States of the moment: one's own, told as often as is useful, and those of others.

// The server tells what changes within as long a time together.
const WINDOW_MS = 50;
// What shows that somebody is there.
const SIGNS = ["pointermove", "pointerdown", "keydown", "wheel", "touchstart"];

/** Keeps states. `send(state)` tells the server one's own; `changed()` is called when others' differ. */
export class States {
  own = null;

  #send;
  #changed;
  #others = new Map();
  #shown = [];
  #isTold = true;
  #timer = null;
  #sentAt = 0;

  constructor(send, changed) {
    this.#send = send;
    this.#changed = changed;
  }

  /** Those of others, as `{ peer_id, session, state }`. */
  get others() {
    return this.#shown;
  }

  /** Merge into one's own state, or with null have none; the newest is told soon. */
  set(state) {
    this.own = state === null ? null : { ...this.own, ...state };
    this.#isTold = false;
    this.#timer ??= setTimeout(() => this.tell(), Math.max(0, this.#sentAt + WINDOW_MS - Date.now()));
  }

  /** Tell one's own now, unless that was done. */
  tell() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#isTold) return;
    this.#isTold = true;
    this.#sentAt = Date.now();
    this.#send(this.own);
  }

  /** This connection is in the room: the server tells those of others anew, and knows nothing of ours. */
  entered() {
    if (this.#others.size > 0) this.#forget();
    this.#isTold = this.own === null;
    this.tell();
  }

  /** It is in none. */
  left() {
    clearTimeout(this.#timer);
    this.#timer = this.own = null;
    this.#isTold = true;
    if (this.#others.size > 0) this.#forget();
  }

  /** Take what the server tells, but for our own, of the connection `session`. */
  take({ states }, session) {
    for (const one of states) {
      if (one.state === null) this.#others.delete(one.session);
      else if (one.session !== session) this.#others.set(one.session, one);
    }
    this.#shown = [...this.#others.values()];
    this.#changed();
  }

  #forget() {
    this.#others.clear();
    this.#shown = [];
    this.#changed();
  }
}

/** Call `tell(isIdle)` when the person at this page was idle for so long, and when it is back; returns an end. */
export function watchIdle(milliseconds, tell, target = globalThis) {
  if (!milliseconds || !target.addEventListener || !target.document) return () => {};
  let timer = null;
  let isIdle = false;
  const sign = () => {
    clearTimeout(timer);
    timer = setTimeout(() => tell((isIdle = true)), milliseconds);
    if (isIdle) tell((isIdle = false));
  };
  for (const name of SIGNS) target.addEventListener(name, sign, { passive: true });
  sign();
  return () => {
    clearTimeout(timer);
    for (const name of SIGNS) target.removeEventListener(name, sign);
  };
}
