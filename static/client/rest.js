// What a client asks over HTTP: the lists of rooms, files, and what an admin may do.

import { bearer, json, upload } from "./http.js";
import { closedError } from "./membership.js";

const ROOMS = "/api/webrtc/rooms";

/** The server's routes, as the holder of the client's token. */
export class Rest {
  #origin;
  #options;
  #isClosed = false;
  // What ends a request that is under way.
  #aborts = new Set();

  constructor({ origin, path }, options) {
    this.#origin = origin + path;
    this.#options = options;
    this.rooms = new Rooms(this);
  }

  get(path) {
    return this.send("GET", path);
  }

  /** Ask a route, and return its answer. */
  send(method, path, body) {
    return this.#whileOpen((settings) => json(this.#origin + path, { method, body, ...settings }));
  }

  /** Send a form with a file. */
  upload(path, form, { onProgress, signal }) {
    return this.#whileOpen((settings, abort) => {
      if (signal?.aborted) abort();
      signal?.addEventListener?.("abort", abort);
      const sent = upload(this.#origin + path, form, { onProgress, ...settings });
      return sent.finally(() => signal?.removeEventListener?.("abort", abort));
    });
  }

  /** Let whatever is under way reject. */
  close() {
    this.#isClosed = true;
    for (const abort of [...this.#aborts]) abort();
  }

  async #whileOpen(request) {
    if (this.#isClosed) throw closedError();
    const controller = new AbortController();
    const abort = () => controller.abort();
    this.#aborts.add(abort);
    const closed = new Promise((_, reject) => {
      controller.signal.addEventListener("abort", () => this.#isClosed && reject(closedError()));
    });
    const answered = async () => {
      const headers = await bearer(this.#options.token);
      if (this.#isClosed) throw closedError();
      return request({ fetch: this.#options.fetch, headers, signal: controller.signal }, abort);
    };
    try {
      const answer = answered();
      answer.catch(() => {});
      closed.catch(() => {});
      return await Promise.race([answer, closed]);
    } finally {
      this.#aborts.delete(abort);
    }
  }
}

/** Rooms by their names, `client.rooms`. Those who moderate need a token with the grant `admin`. */
export class Rooms {
  #rest;

  constructor(rest) {
    this.#rest = rest;
  }

  /** Every room that one may know of, by its name. */
  list() {
    return this.#rest.get(ROOMS);
  }

  /** One room with its peers. */
  get(roomName) {
    return this.#rest.get(address(roomName));
  }

  /** One peer, with fresh addresses of its files. */
  peer(roomName, peerId) {
    return this.#rest.get(address(roomName, peerId));
  }

  /** What happened in a room lately, and how many were there. */
  activity(roomName) {
    return this.#rest.get(`${address(roomName)}/activity`);
  }

  /** Put a peer out; it may come back. */
  kick(roomName, peerId) {
    return this.#rest.send("POST", `${address(roomName, peerId)}/kick`, {});
  }

  /** Put a peer out and let it not come back, for `seconds` or for good. */
  ban(roomName, peerId, { seconds, reason } = {}) {
    return this.#rest.send("POST", `${address(roomName, peerId)}/ban`, { seconds, reason });
  }

  unban(roomName, peerId) {
    return this.#rest.send("POST", `${address(roomName, peerId)}/unban`, {});
  }

  /** Who is banned, and whether the room is closed. */
  bans(roomName) {
    return this.#rest.get(`${address(roomName)}/bans`);
  }

  /** Put everybody out and let nobody in, for `seconds` or until `reopen`. */
  close(roomName, { seconds, reason } = {}) {
    return this.#rest.send("POST", `${address(roomName)}/close`, { seconds, reason });
  }

  reopen(roomName) {
    return this.#rest.send("POST", `${address(roomName)}/reopen`, {});
  }

  /** Erase a peer with its data and files: oneself, or as an admin anybody. */
  erase(roomName, peerId) {
    return this.#rest.send("DELETE", address(roomName, peerId));
  }

  /** Delete a file, by the `filename` of its upload. */
  deleteFile(roomName, filename) {
    return this.#rest.send("DELETE", `${address(roomName)}/files/${encodeURIComponent(filename)}`);
  }
}

function address(roomName, peerId) {
  const room = `${ROOMS}/${encodeURIComponent(roomName)}`;
  return peerId === undefined ? room : `${room}/peers/${encodeURIComponent(peerId)}`;
}
