// Calls to one peer or to everyone in the room: which connections there are, who gets which signal,
// and the ICE servers that all of them use.

import { Emitter, PresenceError, randomId } from "./base.js";
import { Connection } from "./connection.js";

/** Calls every other peer of the room, those who come later included. */
export const everyone = Symbol("everyone");

const TYPES = new Set(["offer", "answer", "candidate", "bye", "reset", "verify"]);
// Credentials are replaced when this share of their time is over.
const REFRESH_AT = 0.8;
const RETRY_MS = 5000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What `client.call` returns: the connections to one peer or to everyone. */
export class Call extends Emitter {
  #calls;
  #streams;

  constructor(calls, target, stream) {
    super();
    this.#calls = calls;
    this.target = target;
    this.#streams = new Set(stream ? [stream] : []);
  }

  /** The connections that this call has now. */
  get connections() {
    return this.#calls.all().filter((connection) => this.includes(connection.peerId));
  }

  /** The streams that its connections send. */
  get streams() {
    return [...this.#streams];
  }

  [Symbol.iterator]() {
    return this.connections[Symbol.iterator]();
  }

  /** Return the connection to a peer (without an id: to the only one), or undefined. */
  connection(peerId = this.target) {
    return this.connections.find(
      (connection) => peerId === everyone || connection.peerId === peerId,
    );
  }

  /** Tell whether the call is to this peer. */
  includes(peerId) {
    return this.target === everyone || this.target === peerId;
  }

  /** Send a stream too, on every connection that there is or will be. */
  addStream(stream) {
    this.#streams.add(stream);
    for (const connection of this.connections) connection.addStream(stream);
  }

  /** Send a stream no longer. */
  removeStream(stream) {
    this.#streams.delete(stream);
    for (const connection of this.connections) connection.removeStream(stream);
  }

  /** Hang up every connection of the call, and take no more. */
  close() {
    this.#calls.end(this);
  }
}

/** Everything that a client needs for its calls; each `Connection` reaches the room through it. */
export class Calls {
  /** Tells this client from others that stand for the same peer. */
  clientId = randomId("");

  #client;
  #options;
  #calls = new Set();
  #connections = new Set();
  // The peers with whom a call was ended by either side: not called again by themselves.
  #hungUp = new Set();
  #numbers = 0;
  #servers = null;
  #refresh = null;

  constructor(client, options) {
    this.#client = client;
    this.#options = options;
    client.on("signal", (signal) => this.#signalled(signal));
    client.on("peers", () => this.#callMissing());
    client.on("peer_joined", ({ peer_id }) => this.#retry((c) => c.peerId === peer_id));
    client.on("peer_left", ({ peer_id }) => this.#hungUp.delete(peer_id));
    client.on("joined", (_body, { rejoined }) => rejoined && this.#retry(() => true));
    client.on("leaving", () => this.#hangUp());
    client.on("left", () => this.#hangUp());
    globalThis.addEventListener?.("online", () => this.#retry(() => true));
  }

  /** Call a peer, or everyone; see `PresenceClient.call`. */
  call(target, stream) {
    if (this.#client.roomName === null) {
      throw new PresenceError("not_joined", "Join a room before calling somebody in it.");
    }
    const call = new Call(this, target, stream);
    this.#calls.add(call);
    for (const connection of call.connections) {
      if (stream) connection.addStream(stream);
    }
    if (target === everyone) this.#hungUp.clear();
    else this.#hungUp.delete(target);
    if (target !== everyone && !call.connection()) this.#connect(target).start();
    this.#callMissing();
    return call;
  }

  /** End a call: hang up what no other call needs. */
  end(call) {
    const connections = call.connections;
    this.#calls.delete(call);
    for (const connection of connections) {
      if (!this.#callsOf(connection.peerId).length) connection.close();
    }
  }

  all() {
    return [...this.#connections];
  }

  // What connections ask of it.

  get RTCPeerConnection() {
    const constructor = this.#options.RTCPeerConnection ?? globalThis.RTCPeerConnection;
    if (constructor) return constructor;
    throw new PresenceError(
      "no_webrtc",
      "There is no WebRTC here. Pass RTCPeerConnection as an option of the client.",
    );
  }

  /** How many milliseconds a step towards a connection may take before the next is tried. */
  get patience() {
    return this.#options.patience ?? 5000;
  }

  peerId() {
    return this.#client.peerId;
  }

  nextId() {
    this.#numbers += 1;
    return `${this.clientId}.${this.#numbers}`;
  }

  isHere() {
    return this.#client.state === "joined";
  }

  isPresent(peerId) {
    return this.isHere() && this.#client.activePeers.some((peer) => peer.peer_id === peerId);
  }

  /** Send a signal; rejects, later perhaps, when it could not be handed over. */
  async signal(peerId, type, data, session) {
    const answer = await this.#client.signal(peerId, data, { type, session: session ?? undefined });
    if (answer.status !== "held") return;
    await new Promise((resolve, reject) => {
      const stop = this.#client.on("signal_expired", (body) => {
        if (body.signal_id === answer.signal_id) {
          settle(reject, new PresenceError(body.code, body.detail, body));
        }
      });
      const timer = setTimeout(() => settle(resolve), (answer.expires_in + 2) * 1000);
      const settle = (how, value) => {
        clearTimeout(timer);
        stop();
        how(value);
      };
    });
  }

  /** Return the RTCConfiguration with ICE servers whose credentials are good. */
  async configuration() {
    this.#servers ??= this.#fetchServers();
    return { ...this.#options.configuration, iceServers: await this.#servers };
  }

  /** Tell whether another connection to the same peer is up, or began after this one. */
  isReplaced(connection) {
    const alike = this.all().filter((other) => other.peerId === connection.peerId);
    const younger = alike.slice(alike.indexOf(connection) + 1);
    return (
      younger.some((other) => other.state !== "failed") ||
      alike.some((other) => other !== connection && other.state === "connected")
    );
  }

  /** Forget a connection; one that was hung up is not made again by itself. */
  closed(connection, hungUp) {
    this.#connections.delete(connection);
    if (hungUp) this.#hungUp.add(connection.peerId);
    if (this.#connections.size > 0) return;
    clearTimeout(this.#refresh);
    this.#servers = null;
  }

  async #fetchServers() {
    clearTimeout(this.#refresh);
    try {
      const { iceServers, ttl } = await this.#client.iceServers();
      if (ttl) this.#refreshIn(ttl * 1000 * REFRESH_AT);
      return iceServers;
    } catch (error) {
      // Better a call that only works nearby than none; the next try may know more.
      this.#refreshIn(RETRY_MS);
      this.#client.emit("error", error);
      return [];
    }
  }

  #refreshIn(milliseconds) {
    this.#refresh = setTimeout(async () => {
      if (this.#connections.size === 0) return (this.#servers = null);
      this.#servers = this.#fetchServers();
      const configuration = await this.configuration();
      if (configuration.iceServers.length === 0) return;
      for (const connection of this.#connections) {
        connection.refresh(configuration).catch((error) => this.#client.emit("error", error));
      }
    }, Math.min(milliseconds, LONGEST_TIMER_MS));
  }

  #callsOf(peerId) {
    return [...this.#calls].filter((call) => call.includes(peerId));
  }

  /** Make a connection that belongs to the calls to its peer. */
  #connect(peerId) {
    const calls = this.#callsOf(peerId);
    this.#hungUp.delete(peerId);
    const streams = calls.flatMap((call) => call.streams);
    const connection = new Connection(this, peerId, streams);
    this.#connections.add(connection);
    for (const call of calls) call.emit("connection", connection);
    this.#client.emit("connection", connection);
    return connection;
  }

  /** Call the active peers whom a call does not reach yet. */
  #callMissing() {
    if (this.#calls.size === 0 || !this.isHere()) return;
    const reached = new Set(this.all().map((connection) => connection.peerId));
    for (const { peer_id } of this.#client.activePeers) {
      const isMissing = !reached.has(peer_id) && !this.#hungUp.has(peer_id);
      if (isMissing && peer_id !== this.peerId() && this.#callsOf(peer_id).length > 0) {
        this.#connect(peer_id).start();
      }
    }
  }

  #retry(which) {
    for (const connection of this.all().filter(which)) {
      if (connection.state === "connected") connection.verify();
      else connection.retry();
    }
  }

  #hangUp() {
    this.#calls.clear();
    for (const connection of this.all()) connection.close();
  }

  #signalled({ from, from_session, type, data }) {
    if (!TYPES.has(type) || typeof data !== "object" || data === null) return;
    const { from_connection: theirs = null, to_connection: mine = null } = data;
    const connection = this.#find(from, theirs, mine);
    if (type === "offer") return this.#offered(connection, from, from_session, data);
    if (type === "verify") {
      if (connection?.id !== mine) this.#refuse(from, from_session, theirs);
      return;
    }
    // An answer to a connection of ours that is no more, or a word of one of theirs.
    if (!connection || (mine !== null && mine !== connection.id)) return;
    if (type === "reset") return this.#reset(connection, theirs);
    const known = connection.remoteId;
    if (type !== "answer" && theirs !== null && known !== null && theirs !== known) return;
    if (type === "answer") connection.answered(data, from_session);
    else if (type === "candidate") connection.candidate(data);
    else connection.ended(data.reason);
  }

  #offered(connection, from, session, data) {
    const { from_connection: theirs = null, to_connection: mine = null, initial = true } = data;
    if (!initial && theirs !== null && (!connection || mine !== connection.id)) {
      // It wants to go on with a connection that this client, newly started perhaps, has not.
      return this.#refuse(from, session, theirs);
    }
    const taken = connection ?? this.#accept(from);
    if (taken) taken.offered(data, session);
    else if (theirs) {
      this.#answer(from, session, "bye", { reason: "declined", from_connection: null, theirs });
    }
  }

  /** Make a connection for a call that came in, if somebody here takes it. */
  #accept(peerId) {
    const isOurs = this.#callsOf(peerId).length > 0;
    if (!isOurs && !this.#client.hasListener("call")) return null;
    const connection = this.#connect(peerId);
    if (!isOurs) this.#client.emit("call", connection);
    return connection.state === "closed" ? null : connection;
  }

  /** Find the connection that a signal concerns: by its own id, by the client, or the open one. */
  #find(from, theirs, mine) {
    const candidates = this.all().filter((connection) => connection.peerId === from);
    const client = theirs?.split(".")[0] ?? null;
    return (
      candidates.find((connection) => mine !== null && connection.id === mine) ??
      candidates.find((connection) => connection.remoteClient === client) ??
      candidates.find((connection) => connection.remoteClient === null)
    );
  }

  /** Begin anew, unless that client is connected to us already. */
  #reset(connection, theirs) {
    const client = theirs?.split(".")[0];
    const other = this.all().find((c) => c !== connection && c.remoteClient === client);
    if (other) connection.finish("Another connection to the same peer took its place.");
    else connection.rebuild();
  }

  /** Say that this client has no such connection, so that the peer begins anew. */
  #refuse(peerId, session, theirs) {
    this.#answer(peerId, session, "reset", { from_connection: `${this.clientId}.0`, theirs });
  }

  #answer(peerId, session, type, { theirs, ...data }) {
    this.signal(peerId, type, { ...data, to_connection: theirs }, session).catch(() => {});
  }
}
