// What a client asks over HTTP: files, ICE servers, the lists of rooms, and what an admin may do.

import { Emitter, PresenceError } from "./base.js";
import { bearer, json, upload } from "./http.js";
import { closedError } from "./membership.js";
import { RESUMABLE_FROM, sendResumable } from "./resumable.js";

const ROOMS = "/api/webrtc/rooms";

/** The half of a client that needs no connection, but a token where the server is locked. */
export class Requests extends Emitter {
  /** The room that was joined, or null. */
  roomName = null;

  #origin;
  #options;
  #isClosed = false;
  // What ends each request that is under way.
  #aborts = new Set();

  constructor({ origin, path }, options) {
    super();
    this.#origin = origin + path;
    this.#options = options;
  }

  /**
   * Upload a File, a Blob with `name`, or React Native's `{ uri, type, name }`.
   *
   * `onProgress({ loaded, total, isWaiting })` counts bytes; an AbortSignal as `signal` aborts. A
   * file of more than 1 MiB goes on where it was after a lost network, for which it waits.
   */
  upload(file, { name, onProgress, signal } = {}) {
    const about = { room_name: this.roomName ?? "", peer_id: this.peerId };
    const filename = name ?? file.name ?? "file";
    return this.#whileOpen((settings, abort) => {
      if (signal?.aborted) abort();
      signal?.addEventListener?.("abort", abort);
      const sent =
        file.size > RESUMABLE_FROM && file.slice
          ? sendResumable(this.#origin, file, { filename, ...about }, {
              ...settings,
              onProgress,
              // It may take longer than a token is good for.
              headers: () => bearer(this.#options.token),
            })
          : this.#uploadForm(file, filename, about, { onProgress, ...settings });
      return sent.finally(() => signal?.removeEventListener?.("abort", abort));
    });
  }

  /** Delete an uploaded file, by the `filename` that the server gave it. */
  deleteFile(filename, { roomName } = {}) {
    return this.#send("DELETE", `${this.#room(roomName)}/files/${encodeURIComponent(filename)}`);
  }

  /** Return what `new RTCPeerConnection()` takes; its TURN credentials last `ttl` seconds. */
  iceServers() {
    const query = new URLSearchParams({ room_name: this.roomName ?? "", peer_id: this.peerId });
    return this.#send("GET", `/api/webrtc/ice-servers?${query}`);
  }

  /** Return every room that one may know of, by its name. */
  rooms() {
    return this.#send("GET", ROOMS);
  }

  /** Return a room with its peers: one's own, or another. */
  async room(roomName) {
    return this.#send("GET", this.#room(roomName));
  }

  /** Return one peer, with fresh addresses of its files. */
  async peer(peerId, { roomName } = {}) {
    return this.#send("GET", this.#peer(peerId, roomName));
  }

  /** Return what happened in a room lately, and how many were there. */
  async activity(roomName) {
    return this.#send("GET", `${this.#room(roomName)}/activity`);
  }

  /** Erase a peer with its data and files: oneself, or as an admin anybody. */
  async erase(peerId, { roomName } = {}) {
    return this.#send("DELETE", this.#peer(peerId, roomName));
  }

  /** Put a peer out of a room; it may come back. This and the next need an admin's token. */
  async kick(peerId, { roomName } = {}) {
    return this.#send("POST", `${this.#peer(peerId, roomName)}/kick`, {});
  }

  /** Put a peer out of a room and let it not come back, for `seconds` or until `unban`. */
  async ban(peerId, { roomName, seconds, reason } = {}) {
    return this.#send("POST", `${this.#peer(peerId, roomName)}/ban`, { seconds, reason });
  }

  /** Let a banned peer come back. */
  async unban(peerId, { roomName } = {}) {
    return this.#send("POST", `${this.#peer(peerId, roomName)}/unban`, {});
  }

  /** Let a peer do these things in a room and no others; `null`: what its token says again. */
  async setGrants(peerId, grants, { roomName } = {}) {
    return this.#send("POST", `${this.#peer(peerId, roomName)}/grants`, { grants });
  }

  /** Return who waits in front of a room. This and the next need a token with `admit`. */
  async knocking(roomName) {
    return this.#send("GET", `${this.#room(roomName)}/knocking`);
  }

  /** Let somebody in who waits; rejects with `not_waiting` or `room_full`. */
  async admit(peerId, { roomName } = {}) {
    return this.#send("POST", `${this.#room(roomName)}/knocking/${encodeURIComponent(peerId)}/admit`, {});
  }

  /** Turn somebody away who waits. */
  async refuse(peerId, { roomName, reason = "" } = {}) {
    return this.#send("POST", `${this.#room(roomName)}/knocking/${encodeURIComponent(peerId)}/refuse`, { reason });
  }

  /** Return who is banned from a room, and whether it is closed. */
  async bans(roomName) {
    return this.#send("GET", `${this.#room(roomName)}/bans`);
  }

  /** Put everybody out of a room and let nobody in, for `seconds` or until `reopenRoom`. */
  async closeRoom(roomName, { seconds, reason } = {}) {
    return this.#send("POST", `${this.#room(roomName)}/close`, { seconds, reason });
  }

  async reopenRoom(roomName) {
    return this.#send("POST", `${this.#room(roomName)}/reopen`, {});
  }

  /** Let whatever is under way reject, and whatever comes. */
  close() {
    this.#isClosed = true;
    for (const abort of [...this.#aborts]) abort();
  }

  #room(roomName = this.roomName) {
    if (roomName === null) {
      throw new PresenceError("not_joined", "Say which room is meant, or join one first.");
    }
    return `${ROOMS}/${encodeURIComponent(roomName)}`;
  }

  #peer(peerId, roomName) {
    return `${this.#room(roomName)}/peers/${encodeURIComponent(peerId)}`;
  }

  #send(method, path, body) {
    return this.#whileOpen((settings) => json(this.#origin + path, { method, body, ...settings }));
  }

  #uploadForm(file, filename, { room_name, peer_id }, { onProgress, ...settings }) {
    const form = new FormData();
    form.append("room_name", room_name);
    form.append("peer_id", peer_id);
    if (file.uri) form.append("file", file);
    else form.append("file", file, filename);
    const told = onProgress && (({ loaded, total }) => onProgress({ loaded, total, isWaiting: false }));
    return upload(`${this.#origin}/api/webrtc/upload`, form, { onProgress: told, ...settings });
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
    const answer = answered();
    // Whichever comes second is of no interest.
    for (const promise of [answer, closed]) promise.catch(() => {});
    try {
      return await Promise.race([answer, closed]);
    } finally {
      this.#aborts.delete(abort);
    }
  }
}
