// The STUN and TURN servers that a client's connections use, with credentials that are good.

// Credentials are replaced when this share of their time is over.
const REFRESH_AT = 0.8;
const RETRY_MS = 5000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Asks the server for ICE servers when they are needed, and again before they end. */
export class IceServers {
  #client;
  #renewed;
  #servers = null;
  #timer = null;
  #isDisposed = false;
  // Goes up when what is being asked for is not needed any more.
  #turn = 0;

  /** `renewed(servers)` is told of new credentials. */
  constructor(client, renewed) {
    this.#client = client;
    this.#renewed = renewed;
  }

  /** Return what belongs into an RTCConfiguration. */
  servers() {
    this.#servers ??= this.#fetch();
    return this.#servers;
  }

  /** Nobody needs them just now. */
  forget() {
    this.#turn += 1;
    clearTimeout(this.#timer);
    this.#servers = null;
  }

  /** Nobody will need them. */
  dispose() {
    this.#isDisposed = true;
    this.forget();
  }

  async #fetch() {
    clearTimeout(this.#timer);
    const turn = this.#turn;
    try {
      const { iceServers, ttl } = await this.#client.iceServers();
      if (ttl) this.#renewIn(ttl * 1000 * REFRESH_AT, turn);
      return iceServers;
    } catch (error) {
      // Better a call that only works nearby than none; the next try may know more.
      this.#renewIn(RETRY_MS, turn);
      if (turn === this.#turn) this.#client.emit("error", error);
      return [];
    }
  }

  #renewIn(milliseconds, turn) {
    if (this.#isDisposed || turn !== this.#turn) return;
    this.#timer = setTimeout(async () => {
      this.#servers = this.#fetch();
      const servers = await this.#servers;
      if (servers.length > 0) this.#renewed(servers);
    }, Math.min(milliseconds, LONGEST_TIMER_MS));
  }
}
