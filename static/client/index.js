// The client of a Presence server: joins a room, keeps its list of peers, sends signals, and joins
// again by itself whenever the connection was lost. An ES module for browsers, Node and React
// Native; it needs socket.io-client and nothing else.

import { Emitter, PresenceError, randomId, splitAddress } from "./base.js";
import { Calls, everyone } from "./call.js";
import { bearer, getJson, tokenOf, unreachable, upload } from "./http.js";
import { ask, findIo, refusalOf } from "./socket.js";

export { PresenceError, everyone };

const RETRY_MS = [500, 1000, 2000, 5000];
// A refusal of these kinds passes; any other would only be repeated.
const PASSING = new Set([
  "room_full",
  "shutting_down",
  "storage_unavailable",
  "internal_error",
  "timeout",
]);
const FORWARDED = ["user_data_updated", "file_uploaded", "file_deleted", "signal", "broadcast"];

/** One peer's connection to a Presence server. See index.d.ts for every type. */
export class PresenceClient extends Emitter {
  /** Where the client is: idle, connecting, connected, joined, reconnecting or closed. */
  state = "idle";
  /** The room that was joined, or null. */
  roomName = null;
  /** Every peer of the room, inactive ones too, as in the newest list. */
  peers = [];
  /** The version of that list. */
  version = 0;

  #options;
  #address;
  #timeout;
  #socket = null;
  #connecting = null;
  // The join that is under way, the one to repeat after a reconnect, and our data in that room.
  #asked = null;
  #wanted = null;
  #own = null;
  #joinedOn = null;
  #rejoins = 0;
  #retry = null;
  #turn = 0;
  #calls;

  /** @param {string} [url] the server's address; a page's own origin by default */
  constructor(url, options = {}) {
    super();
    this.#options = options;
    this.#address = splitAddress(url ?? globalThis.location?.origin ?? "");
    this.#timeout = options.timeout ?? 10_000;
    this.peerId = options.peerId ?? randomId("peer-");
    this.username = options.username ?? this.peerId;
    this.#calls = new Calls(this, options);
  }

  /** The underlying socket of socket.io-client, or null before `connect`. */
  get socket() {
    return this.#socket;
  }

  /** This connection's own session id, by which `signal` can address one of several. */
  get session() {
    return this.#socket?.id ?? null;
  }

  /** The peers of the list that are active now. */
  get activePeers() {
    return this.peers.filter((peer) => peer.is_active);
  }

  /** Connect; `join` does it too. Rejects with `unreachable` when the server does not answer. */
  async connect() {
    if (this.#socket?.connected) return;
    this.#connecting ??= this.#open().finally(() => (this.#connecting = null));
    await this.#connecting;
  }

  /** Join a room, leaving the one joined before; returns the server's answer with its peers. */
  async join(roomName, { peerId, username, userData } = {}) {
    this.peerId = peerId ?? this.peerId;
    this.username = username ?? (peerId && !this.#options.username ? peerId : this.username);
    await this.connect();
    clearTimeout(this.#retry);
    const join = { room_name: roomName, peer_id: this.peerId, username: this.username };
    return this.#join({ ...join, user_data: userData ?? {} });
  }

  /** Leave the room. Resolves as well when the connection is lost, for that leaves it too. */
  async leave() {
    const wasLost = this.state === "reconnecting";
    this.#wanted = null;
    clearTimeout(this.#retry);
    this.emit("leaving");
    try {
      if (!wasLost) return await this.#request("leave_room", {});
    } catch (error) {
      if (error.code !== "connection_lost") throw error;
    }
    this.#asked = null;
    return this.#left({ room_name: this.roomName, reason: "left" });
  }

  /** Merge `userData` into one's own; `remove` names keys to delete, `replace` starts afresh. */
  async update(userData, { remove = [], replace = false } = {}) {
    const answer = await this.#request(
      "update_user_data",
      { user_data: userData ?? {}, remove, replace },
      { repeatable: true },
    );
    if (this.#own) this.#own.user_data = answer.user_data;
    return answer;
  }

  /**
   * Upload a File, a Blob with `name`, or React Native's `{ uri, type, name }`.
   * `onProgress({ loaded, total })` counts bytes; an AbortSignal as `signal` aborts.
   */
  async upload(file, { name, onProgress, signal } = {}) {
    const form = new FormData();
    form.append("room_name", this.roomName ?? "");
    form.append("peer_id", this.peerId);
    if (file.uri) form.append("file", file);
    else form.append("file", file, name ?? file.name ?? "file");
    return upload(this.#url("/api/webrtc/upload"), form, {
      onProgress,
      signal,
      headers: await bearer(this.#options.token),
      fetch: this.#options.fetch,
    });
  }

  /**
   * Send `data` to one peer of the room. Resolves with `status` “delivered” or “held”; rejects
   * with `unknown_peer`, `inactive`, `not_joined`, `too_large` or `connection_lost`.
   */
  signal(to, data, { type, session } = {}) {
    const message = { to, data };
    if (type !== undefined) message.type = type;
    if (session !== undefined) message.to_session = session;
    return this.#request("signal", message);
  }

  /** Send an application message to everyone else in the room. */
  broadcast(event, data = null) {
    return this.#request("broadcast", { event, data });
  }

  /** Return what `new RTCPeerConnection()` takes; its TURN credentials last `ttl` seconds. */
  async iceServers() {
    const query = `room_name=${encodeURIComponent(this.roomName ?? "")}&peer_id=${encodeURIComponent(this.peerId)}`;
    const headers = await bearer(this.#options.token);
    const { fetch } = this.#options;
    return getJson(this.#url(`/api/webrtc/ice-servers?${query}`), { fetch, headers });
  }

  /** Call a peer of the room, or `everyone` in it, sending `stream` if given; returns a `Call`. */
  call(target, stream) {
    return this.#calls.call(target, stream);
  }

  /** Disconnect for good: the peer is inactive at once. */
  close() {
    this.#wanted = null;
    clearTimeout(this.#retry);
    this.emit("leaving");
    const socket = this.#socket;
    this.#socket = null;
    socket?.disconnect();
    if (this.roomName !== null) this.#left({ room_name: this.roomName, reason: "closed" });
    this.#setState("closed");
  }

  async #open() {
    if (!this.#socket) {
      const io = await findIo(this.#options.io);
      this.#socket = io(this.#address.origin, {
        path: `${this.#address.path}/socket.io`,
        forceNew: true,
        reconnectionDelay: 500,
        reconnectionDelayMax: 3000,
        ...(this.#options.token ? { auth: (give) => this.#authorize(give) } : {}),
        ...this.#options.socket,
        autoConnect: false,
      });
      this.#listen(this.#socket);
    }
    const socket = this.#socket;
    this.#setState("connecting");
    await new Promise((resolve, reject) => {
      const settle = (how, value) => {
        clearTimeout(timer);
        socket.off("connect", connected).off("connect_error", refused);
        how(value);
      };
      const connected = () => settle(resolve);
      const refused = (error) => {
        // Still trying, unless the server itself said no.
        if (socket.active) return;
        settle(reject, refusalOf(error));
      };
      const timer = setTimeout(() => {
        socket.disconnect();
        this.#setState("idle");
        settle(reject, this.#unreachable());
      }, this.#timeout);
      socket.on("connect", connected).on("connect_error", refused).connect();
    });
  }

  /** Show the server a token that is good now, however often getting one fails. */
  async #authorize(give) {
    const turn = ++this.#turn;
    for (let attempt = 0; ; attempt += 1) {
      try {
        const auth = { token: await tokenOf(this.#options.token) };
        // Meanwhile the connection may have been lost, and the next one asked for itself.
        if (turn === this.#turn) give(auth);
        return;
      } catch (error) {
        if (turn !== this.#turn) return;
        this.emit("error", new PresenceError("no_token", `No token could be had: ${error.message}`));
      }
      await new Promise((later) => setTimeout(later, RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]));
      if (turn !== this.#turn || !this.#socket) return;
    }
  }

  #listen(socket) {
    socket.on("connect", () => {
      this.#setState("connected");
      if (this.#wanted) this.#rejoin();
    });
    socket.on("disconnect", (reason) => {
      if (socket !== this.#socket) return;
      clearTimeout(this.#retry);
      this.emit("disconnected", reason);
      this.#setState(socket.active ? "reconnecting" : "idle");
    });
    socket.on("connect_error", (error) => {
      // The server itself said no to somebody who was in: it will not help to try again.
      if (socket !== this.#socket || socket.active || this.#connecting) return;
      const refusal = refusalOf(error);
      this.emit("error", refusal);
      this.#setState("idle");
      if (this.roomName !== null) this.#left({ room_name: this.roomName, reason: refusal.code });
    });
    socket.on("join_room_success", (body) => this.#joined(body));
    socket.on("leave_room_success", (body) => {
      if (body.room_name === this.roomName) this.#left(body);
    });
    socket.on("peer_list_updated", (body) => {
      if (body.room_name === this.roomName && body.version > this.version) this.#apply(body);
    });
    socket.on("signal_error", (body) => {
      // Failures are the acknowledgement's to report; only this one comes after it.
      if (body.code === "expired") this.emit("signal_expired", body);
    });
    for (const event of FORWARDED) socket.on(event, (body) => this.emit(event, body));
  }

  #join(join) {
    this.#asked = join;
    return this.#request("join_room", join, { repeatable: true, joining: true });
  }

  #joined(body) {
    // The server puts back whom it lost. Who has left meanwhile does so again.
    if (!this.#asked) return void this.#socket?.emit("leave_room", {});
    const isKnown = this.#joinedOn === this.#socket?.id && this.roomName === body.room_name;
    this.#joinedOn = this.#socket?.id;
    const { user_data: _once, ...again } = this.#asked ?? {};
    const rejoined = this.#wanted !== null;
    this.#wanted = { ...again, room_name: body.room_name, peer_id: body.peer_id };
    this.#rejoins = 0;
    this.peerId = body.peer_id;
    if (this.roomName !== body.room_name) this.peers = [];
    this.roomName = body.room_name;
    this.#setState("joined");
    this.#apply(body);
    this.#restore(body.peers.find((peer) => peer.peer_id === body.peer_id));
    if (!isKnown) this.emit("joined", body, { rejoined });
  }

  /** Put our user data back if the server had to make the peer anew, having lost its database. */
  #restore(peer) {
    const lost = this.#own;
    this.#own = peer ? { joined_at: peer.joined_at, user_data: peer.user_data } : null;
    const same = lost && this.#own && lost.room_name === this.roomName;
    if (this.#own) this.#own.room_name = this.roomName;
    if (same && lost.joined_at !== peer.joined_at && Object.keys(peer.user_data).length === 0) {
      this.update(lost.user_data).catch((error) => this.emit("error", error));
    }
  }

  /** Join again with what was asked last, but without user data: the server keeps that. */
  async #rejoin() {
    try {
      await this.#join({ ...this.#wanted, user_data: {} });
    } catch (error) {
      if (error.code === "connection_lost" || !this.#wanted) return;
      this.emit("error", error);
      if (!PASSING.has(error.code)) {
        this.#wanted = null;
        this.#left({ room_name: this.roomName, reason: error.code });
        return;
      }
      const wait = RETRY_MS[Math.min(this.#rejoins++, RETRY_MS.length - 1)];
      this.#retry = setTimeout(() => this.#wanted && this.#rejoin(), wait);
    }
  }

  #left(body) {
    this.#wanted = this.#joinedOn = null;
    this.#own = null;
    this.roomName = null;
    this.peers = [];
    this.version = 0;
    if (this.state === "joined") this.#setState("connected");
    this.emit("left", body);
    this.emit("peers", this.peers, { room_name: body.room_name, version: 0 });
    return body;
  }

  #apply(list) {
    const before = new Map(this.peers.map((peer) => [peer.peer_id, peer]));
    this.peers = list.peers;
    this.version = list.version;
    const own = this.peers.find((peer) => peer.peer_id === this.peerId);
    if (own && this.#own) this.#own.user_data = own.user_data;
    this.emit("peers", this.peers, list);
    for (const peer of list.peers) {
      const was = before.get(peer.peer_id)?.is_active ?? false;
      before.delete(peer.peer_id);
      if (peer.is_active && !was) this.emit("peer_joined", peer);
      if (!peer.is_active && was) this.emit("peer_left", peer);
    }
    for (const peer of before.values()) if (peer.is_active) this.emit("peer_left", peer);
  }

  /** Send an event once it can be, and return the server's answer. */
  async #request(event, data, { repeatable = false, joining = false } = {}) {
    const until = Date.now() + this.#timeout;
    for (;;) {
      if (!this.#canSend(joining)) await this.#untilReady(joining, until);
      try {
        return await ask(this.#socket, event, data, Math.max(until - Date.now(), 1));
      } catch (error) {
        // Nobody knows whether it arrived; what may arrive twice is simply sent again.
        if (error.code !== "connection_lost" || !repeatable || !this.#socket?.active) throw error;
      }
    }
  }

  #canSend(joining) {
    return Boolean(this.#socket?.connected && (joining || !this.#wanted || this.state === "joined"));
  }

  #untilReady(joining, until) {
    if (!this.#socket?.active) {
      return Promise.reject(
        new PresenceError("not_connected", "There is no connection. Call connect() or join() first."),
      );
    }
    return new Promise((resolve, reject) => {
      const settle = (how, value) => {
        clearTimeout(timer);
        stop();
        how(value);
      };
      const timer = setTimeout(
        () => settle(reject, this.#unreachable()),
        Math.max(until - Date.now(), 1),
      );
      const stop = this.on("state", (state) => {
        if (this.#canSend(joining)) settle(resolve);
        else if (state === "closed" || state === "idle") settle(reject, this.#unreachable());
      });
    });
  }

  #url(path) {
    return this.#address.origin + this.#address.path + path;
  }

  #unreachable() {
    return unreachable(this.#url("/"));
  }

  #setState(state) {
    if (state === this.state) return;
    this.state = state;
    this.emit("state", state);
  }
}
