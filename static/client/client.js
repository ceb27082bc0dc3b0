// What a program holds: one client, which is one peer of one room at a time.

import { PresenceError, randomId, splitAddress } from "./base.js";
import { Broadcasts } from "./broadcasts.js";
import { Calls } from "./calls.js";
import { claimsOf, takeId } from "./identity.js";
import { Line, isPassing } from "./line.js";
import { Membership, closedError } from "./membership.js";
import { Requests } from "./requests.js";
import { RoomData, changed } from "./room_data.js";
import { Roster } from "./roster.js";
import { States, watchIdle } from "./states.js";

const FORWARDED = new Set(["user_data_updated", "room_data_updated", "file_uploaded", "file_deleted", "signal", "broadcast", "grants_changed", "peer_waiting", "knocking"]);
const CHANGES = new Set(["peer_joined", "peer_updated", "peer_left"]);
const WATCHED = new Set(["room_changed", "rooms_changed"]);
const SYNC_RETRY_MS = 1000;

/** One peer's connection to a Presence server. See index.d.ts for every type. */
export class PresenceClient extends Requests {
  #options;
  #timeout;
  #line;
  #membership;
  #roster = new Roster();
  #roomData = new RoomData();
  #broadcasts = new Broadcasts((since) => this.#syncBroadcasts(since));
  #states = new States((state) => this.#tellState(state), () => this.emit("states", this.states));
  #stopWatchingIdle;
  #calls;
  // Who we are: what was asked for, what the token says, and else what was made up.
  #given;
  #made = null;
  // Our data as the server has it, the newest that is known; it is put back if the server lost it.
  #own = null;
  /** What one may do in the room, or null: in none, or on an open server. */
  grants = null;
  // Whether `connect` or `watch` wants the line without a room.
  #isHolding = false;
  #watched = null;
  #departing = null;
  #isSyncing = false;
  #timer = null;
  // Who waits for the line, by `connect`.
  #connecting = new Set();

  /** @param {string} [url] the server's address; a page's own origin by default */
  constructor(url, options = {}) {
    const address = splitAddress(url ?? globalThis.location?.origin ?? "");
    super(address, options);
    this.#options = options;
    this.#timeout = options.timeout ?? 10_000;
    this.#given = { peerId: options.peerId ?? null, username: options.username ?? null };
    this.#line = new Line(address, options, {
      up: () => this.#connected(),
      down: (reason) => this.#disconnected(reason),
      refused: (error) => this.#refused(error),
      troubled: (error) => this.emit("error", error),
      event: (name, body) => this.#happened(name, body ?? {}),
      wantsPlace: () => this.#membership.wantsPlace,
    });
    this.#membership = new Membership(this.#line, {
      changed: (state) => this.emit("state", state),
      leaving: (stay) => this.#leaving(stay),
      entered: (body, how) => this.#entered(body, how),
      exited: (body) => this.#exited(body),
      failed: (error) => this.emit("error", error),
      waiting: (body) => this.emit("waiting", body),
      isHolding: () => this.#isHolding,
      completed: (message) => this.#completed(message),
    }, this.#timeout);
    this.#calls = new Calls(this, options);
    this.#stopWatchingIdle = watchIdle(options.idleAfter, (idle) => this.roomName !== null && this.setState({ idle }));
  }

  /** Where the client is: idle, connecting, joined, reconnecting or closed. */
  get state() {
    return this.#membership.state;
  }

  /** Whether there is a connection to the server just now. */
  get connected() {
    return this.#line.isUp;
  }

  /** Who this client is in a room: given, or what the token is for, or made up and kept with the tab. */
  get peerId() {
    const stay = this.#membership?.stay;
    return (stay?.wasIn ? stay.peerId : null) ?? this.#given.peerId ?? this.#claims.sub ?? this.#madeUp();
  }

  get username() {
    return this.#given.username ?? this.#claims.name ?? this.peerId;
  }

  /** Every peer of the room, inactive ones too, as in the newest list. */
  get peers() {
    return this.#roster.peers;
  }

  /** The peers of the list that are active now. */
  get activePeers() {
    return this.peers.filter((peer) => peer.is_active);
  }

  /** The version of that list. */
  get version() {
    return this.#roster.version;
  }

  /** One's own peer in the list, or null. */
  get me() {
    return this.peers.find((peer) => peer.peer_id === this.peerId) ?? null;
  }

  /** The room's own data, as it is known here; never changed in place. */
  get roomData() {
    return this.#roomData.value;
  }

  /** What is true of the others' connections just now: `{ peer_id, session, state }`; with the option `states`. */
  get states() {
    return this.#states.others;
  }

  /** The underlying socket of socket.io-client, or null. */
  get socket() {
    return this.#line.socket;
  }

  /** This connection's own session id, by which `signal` can address one of several. */
  get session() {
    return this.#line.socket?.id ?? null;
  }

  /** Connect without joining a room, and stay connected; rejects with why that cannot be. */
  async connect() {
    this.#refuseClosed();
    if (this.#line.isUp) return void (this.#isHolding = true);
    this.#isHolding = true;
    await new Promise((resolve, reject) => {
      const settle = (error) => {
        clearTimeout(timer);
        this.#connecting.delete(settle);
        if (error) reject(error);
        else resolve();
      };
      const timer = setTimeout(() => {
        const { problem } = this.#line;
        this.#isHolding = this.#connecting.size > 1;
        settle(problem);
        this.#membership.look();
      }, this.#timeout);
      this.#connecting.add(settle);
      this.#line.hold();
    });
  }

  /**
   * Join a room, leaving first the one joined before; returns the server's answer with its peers.
   * With `waitForPlace` a full room is waited for, for as long as it takes. The `password` of a room
   * that has one is shown again by itself when this client comes back. With `history` it hears what was
   * kept of the room's broadcasts before it came.
   */
  async join(roomName, { peerId, username, userData, password, waitForPlace = false, history = false } = {}) {
    this.#refuseClosed();
    for (const [field, value] of [["room_name", roomName], ["peer_id", peerId ?? "-"], ["username", username ?? "-"]]) {
      if (typeof value === "string" && value !== "") continue;
      throw new PresenceError("invalid_field", `${field} must be a string that is not empty.`, { field });
    }
    if (peerId !== undefined) this.#given.peerId = peerId;
    if (username !== undefined) this.#given.username = username;
    else if (peerId !== undefined && !this.#options.username) this.#given.username = null;
    const { updates = "delta", states = false, dataNotices = true } = this.#options;
    const message = { room_name: roomName, peer_id: this.peerId, username: this.username, updates };
    if (states) message.states = true;
    if (!dataNotices) message.data_notices = false;
    if (password !== undefined) message.password = password;
    this.#broadcasts.wantsHistory = history;
    return this.#membership.join({ ...message, user_data: userData ?? {} }, waitForPlace);
  }

  /** Leave the room, or withdraw a `join`; when it resolves this client is in no room. */
  leave() {
    return this.#membership.leave();
  }

  /** End for good: in no room, not connected, and whatever was asked rejects with `closed`. */
  close() {
    if (this.state === "closed") return;
    this.#isHolding = false;
    this.#watched = null;
    clearTimeout(this.#timer);
    this.#membership.close();
    this.#calls.dispose();
    super.close();
    this.#stopWatchingIdle();
    this.#states.left();
    this.#made?.release();
    this.#endConnecting(closedError());
  }

  /**
   * Merge `userData` into one's own; `remove` names keys to delete, `replace` starts afresh,
   * `ifVersion` lets it be done only if nobody changed the data since that version.
   *
   * A function instead gets the data of now and returns what to merge; when somebody else was
   * faster (`conflict`) it is called again with what they made of it.
   */
  async update(userData, { remove = [], replace = false, ifVersion } = {}) {
    if (typeof userData === "function") {
      const now = () => ({ data: this.#own?.userData, version: this.#own?.version });
      return this.#change(userData, now, "user_data", (part, version) =>
        this.update(part, { remove, replace, ifVersion: version }),
      );
    }
    const message = { user_data: userData ?? {}, remove, replace };
    if (ifVersion !== undefined) message.if_version = ifVersion;
    // What was done already would be a conflict with itself.
    const answer = await this.#request("update_user_data", message, { repeatable: ifVersion === undefined });
    this.#know(answer);
    return answer;
  }

  /**
   * Merge `roomData` into the data of the room, which everybody in it shares; options and functions are
   * as those of `update`.
   */
  async updateRoomData(roomData, { remove = [], replace = false, ifVersion } = {}) {
    if (typeof roomData === "function") {
      const now = () => ({ data: this.roomData, version: this.#roomData.version });
      return this.#change(roomData, now, "room_data", (part, version) =>
        this.updateRoomData(part, { remove, replace, ifVersion: version }),
      );
    }
    const message = { room_data: roomData ?? {}, remove, replace };
    if (ifVersion !== undefined) message.if_version = ifVersion;
    const answer = await this.#request("update_room_data", message, { repeatable: ifVersion === undefined });
    if (answer.room_name === this.roomName) this.#tellData(this.#roomData.take(answer));
    return answer;
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

  /**
   * Send an application message to everyone else in the room; with `keep` those who are away hear it
   * when they come back.
   */
  async broadcast(event, data = null, { keep = false } = {}) {
    const answer = await this.#request("broadcast", keep ? { event, data, keep } : { event, data });
    this.#broadcasts.said(answer);
    return answer;
  }

  /**
   * Merge into what is true of this connection just now, such as where its cursor is; null: nothing. It
   * is told a few times a second at most, kept nowhere, told again after a lost connection, and gone with
   * the room.
   */
  setState(state) {
    this.#refuseClosed();
    this.#states.set(state);
  }

  /** Call a peer of the room, or `everyone` in it, sending `media` if given; returns a `Call`. */
  call(target, media) {
    this.#refuseClosed();
    return this.#calls.call(target, media);
  }

  /**
   * Hear `room_changed` of a room, or without a name `rooms_changed`, without joining anything; one
   * at a time, and again after every reconnect.
   */
  async watch(roomName = null) {
    await this.connect();
    const answer = await this.#line.ask("watch", roomName === null ? {} : { room_name: roomName }, this.#timeout);
    this.#refuseClosed();
    this.#watched = { roomName };
    return answer;
  }

  /** Hear of what was watched no more. */
  unwatch() {
    this.#watched = null;
  }

  #connected() {
    this.#membership.look();
    this.#endConnecting();
    this.emit("connected");
    if (!this.#watched) return;
    const { roomName } = this.#watched;
    const again = this.#line.ask("watch", roomName === null ? {} : { room_name: roomName }, this.#timeout);
    again.catch((error) => error.code !== "connection_lost" && this.emit("error", error));
  }

  #disconnected(reason) {
    this.emit("disconnected", reason);
    this.#membership.down();
  }

  #refused(error) {
    this.#isHolding = false;
    const isTold = this.#endConnecting(error);
    this.#membership.refused(error, isTold);
  }

  #endConnecting(error) {
    const waiting = [...this.#connecting];
    for (const settle of waiting) settle(error);
    return waiting.length > 0;
  }

  /** Return a join as it is to be sent, now that the token was shown. */
  #completed(message) {
    const { sub, name } = this.#claims;
    if (this.#given.peerId !== null || sub === undefined) return message;
    const username = this.#given.username ?? name ?? sub;
    return this.#membership.stay.wasIn ? message : { ...message, peer_id: sub, username };
  }

  get #claims() {
    const { token } = this.#options;
    return claimsOf(typeof token === "function" ? this.#line?.token : token);
  }

  #madeUp() {
    if (this.state === "closed") return this.#made?.peerId ?? randomId("peer-");
    this.#made ??= takeId();
    return this.#made.peerId;
  }

  #happened(name, body) {
    if (name === "join_room_success") return this.#membership.entered(body);
    if (name === "join_room_error") return this.#membership.turnedAway(body);
    if (name === "leave_room_success") return this.#membership.exited(body);
    // Failures are the acknowledgement's to report; only this one comes after it.
    if (name === "signal_error") return body.code === "expired" && this.emit("signal_expired", body);
    if (name === "slow_down") return this.emit("error", new PresenceError(body.code, body.detail, body));
    if (WATCHED.has(name)) return this.#watched && this.emit(name, body);
    if (body.room_name === undefined || body.room_name !== this.roomName) return;
    if (name === "grants_changed") this.grants = body.grants;
    if (name === "states_changed") return this.#states.take(body, this.session);
    if (name === "broadcasts_caught_up") return this.#caughtUp(body);
    // That was of broadcasts alone.
    if (name === "sync_success" && body.peers === undefined) return;
    // Where a whole list says nothing of it there is none.
    if (name === "peer_list_updated" || name === "sync_success") body.room_data ??= {};
    this.#tellData(this.#roomData.take(body));
    if (name === "peer_list_updated") this.#tell(this.#roster.replace(body));
    else if (name === "sync_success") this.#tell(body.full ? this.#roster.replace(body) : this.#roster.change(body));
    else if (CHANGES.has(name)) this.#tell(this.#roster.change(body));
    else if (name === "broadcast" && (this.#calls.rung(body) || !this.#broadcasts.takes(body))) return;
    else if (FORWARDED.has(name)) this.emit(name, body);
  }

  #leaving(stay) {
    const before = this.#departing;
    this.#departing = stay;
    this.emit("leaving");
    this.#departing = before;
  }

  #entered(body, { rejoined, known }) {
    if (this.roomName !== body.room_name) {
      this.#roster.clear(body.room_name);
      this.#broadcasts.left();
    }
    this.roomName = body.room_name;
    this.grants = body.grants ?? null;
    const lost = rejoined ? this.#own : null;
    const own = body.peers.find((peer) => peer.peer_id === body.peer_id);
    this.#own = own ? { joinedAt: own.joined_at, userData: own.user_data, version: body.version } : null;
    // A server that lost its database may count from the beginning.
    if (!known) this.#roster.version = 0;
    this.#tell(this.#roster.replace(body));
    this.#tellData(known ? this.#roomData.take({ room_data: {}, ...body }) : this.#roomData.enter(body));
    if (lost && own && lost.joinedAt !== own.joined_at && Object.keys(own.user_data).length === 0) {
      // The server had to make the peer anew.
      this.update(lost.userData).catch((error) => this.emit("error", error));
    }
    if (!known) this.emit("joined", body, { rejoined });
    this.#broadcasts.entered(body);
    this.#states.entered();
  }

  #exited(body) {
    this.roomName = this.grants = null;
    this.#own = null;
    clearTimeout(this.#timer);
    const changes = this.#roster.clear();
    this.#roomData.enter({});
    this.#broadcasts.left();
    this.#states.left();
    this.emit("left", body);
    this.#tell({ ...changes, list: { room_name: body.room_name, version: 0 } }, body.reason);
  }

  /** Tell what is different in the list. */
  #tell(changes, ownReason = null) {
    if (changes === "gap") return void this.#sync();
    if (!changes?.isNew) return;
    const own = this.me;
    if (own && this.#own && this.version >= this.#own.version) {
      this.#own = { joinedAt: own.joined_at, userData: own.user_data, version: this.version };
    }
    const left = changes.left.map(([peer, reason]) => [peer, { reason: ownReason === null ? reason : null }]);
    this.emit("peers", this.peers, changes.list ?? this.#roster.list);
    for (const peer of changes.joined) this.emit("peer_joined", peer);
    for (const [peer, how] of left) this.emit("peer_left", peer, how);
  }

  /** Ask for what is missing in the list. */
  async #sync() {
    if (this.#isSyncing) return;
    this.#isSyncing = true;
    try {
      await this.#request("sync", { since: this.version });
    } catch (error) {
      if (!isPassing(error)) return;
      this.#timer = setTimeout(() => this.#sync(), SYNC_RETRY_MS);
    } finally {
      this.#isSyncing = false;
    }
  }

  /** Tell one's state, if there is anybody to tell; who comes in tells it anew. */
  #tellState(state) {
    if (this.state !== "joined") return;
    this.#line.ask("state", { state }, this.#timeout).catch((error) => {
      if (!["connection_lost", "timeout", "not_joined"].includes(error.code)) this.emit("error", error);
    });
  }

  /**
   * Ask for the kept broadcasts that were missed; who comes back after a lost connection asks anew.
   * Resolves with whether to ask again, a moment after what may pass.
   */
  async #syncBroadcasts(since) {
    try {
      await this.#request("sync", { since_broadcast: since });
      return false;
    } catch (error) {
      if (error.code === "connection_lost" || this.state !== "joined") return false;
      if (!isPassing(error)) this.emit("error", error);
      else if (error.code !== "timeout") await new Promise((go) => setTimeout(go, SYNC_RETRY_MS));
      return isPassing(error) && this.state === "joined";
    }
  }

  #caughtUp(body) {
    this.#broadcasts.caughtUp(body);
    if (!body.complete) this.emit("broadcasts_missed", body);
  }

  /** Change data by a function of what it is, which stands in `key` of answers. */
  #change(change, now, key, update) {
    const of = ({ [key]: data, version }) => ({ data, version });
    return changed(change, { now, update, of, until: Date.now() + this.#timeout });
  }

  /** Tell of the room's data, if it is different. */
  #tellData(isNew) {
    if (isNew) this.emit("room_data", this.roomData);
  }

  #know({ user_data, version }) {
    if (this.#own && version >= this.#own.version) {
      this.#own = { ...this.#own, userData: user_data, version };
    }
  }

  /** Send an event once the room it is for is joined, and return the server's answer. */
  async #request(event, data, { repeatable = false } = {}) {
    this.#refuseClosed();
    const stay = this.#departing ?? this.#membership.stay;
    if (!stay) throw new PresenceError("not_joined", `Join a room first: ${event} is for those who are in one.`);
    const until = Date.now() + this.#timeout;
    for (;;) {
      if (!stay.isIn) await this.#membership.untilIn(stay, until);
      try {
        return await this.#line.ask(event, data, Math.max(until - Date.now(), 1));
      } catch (error) {
        if (error.code !== "connection_lost") throw error;
        if (this.state === "closed") throw closedError();
        // Nobody knows whether it arrived; what may arrive twice is simply sent again.
        if (!repeatable || stay.ended) throw stay.ended ?? error;
      }
    }
  }

  #refuseClosed() {
    if (this.state === "closed" && this.#departing === null) throw closedError();
  }
}
