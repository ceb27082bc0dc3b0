// Candidates that come before the offer to which they belong, kept for it.

const MOST_PEERS = 50;
const MOST_OF_ONE = 100;

/** Keeps what comes too early, of so many peers, and so much of each. */
export class EarlyCandidates {
  #of = new Map();

  keep(peerId, candidate) {
    const kept = this.#of.get(peerId) ?? [];
    if (kept.length >= MOST_OF_ONE || (kept.length === 0 && this.#of.size >= MOST_PEERS)) return;
    this.#of.set(peerId, [...kept, candidate]);
  }

  /** Return what was kept of a peer, and keep it no more. */
  take(peerId) {
    const kept = this.#of.get(peerId) ?? [];
    this.#of.delete(peerId);
    return kept;
  }

  forget(peerId) {
    this.#of.delete(peerId);
  }

  clear() {
    this.#of.clear();
  }
}
