// The calls of a client: which connections there are, who gets which signal, and what is sent.

import { PresenceError, randomId } from "./base.js";
import { Call, everyone } from "./call.js";
import { Connection } from "./connection.js";
import { EarlyCandidates } from "./early_candidates.js";
import { IceServers } from "./ice_servers.js";
import { hasGone, wordsForGone } from "./reasons.js";

const TYPES = new Set(["offer", "answer", "candidate", "bye", "reset", "verify", "media", "here"]);
// The broadcast by which somebody asks the other sessions of a peer whether they take a call.
const RING = "presence_ring";
// How often streams are looked at: no browser tells when a program changes their tracks.
const LOOK_MS = 500;
// How long a list may be behind what one of its peers has said already.
const LIST_MS = 500;
// A peer may send anything.
const isId = (value) => value === null || typeof value === "string";

/** Everything that a client needs for its calls; each `Connection` reaches the room through it. */
export class Calls {
  /** Tells this client from others that stand for the same peer. */
  clientId = randomId("");

  #client;
  #options;
  #ice;
  #calls = new Set();
  #connections = new Set();
  #early = new EarlyCandidates();
  // The peers with whom a call was ended by either side: not called again by themselves.
  #hungUp = new Set();
  #numbers = 0;
  #looking = null;
  // The peers who may send nothing in calls, as an admin has it.
  #unheard = new Set();
  #online = () => this.#retry(() => true);

  constructor(client, options) {
    this.#client = client;
    this.#options = options;
    this.#ice = new IceServers(client, (configuration) => this.#refresh(configuration));
    client.on("signal", (signal) => this.#signalled(signal));
    client.on("peers", (peers) => {
      // Whoever was only lost may have been put out since, which makes nobody leave once more.
      for (const { peerId } of this.all()) {
        const peer = peers.find((one) => one.peer_id === peerId);
        if (peer && !peer.is_active && hasGone(peer.reason)) this.#partFrom(peerId, peer.reason);
      }
      this.#callMissing();
      this.#hear(peers);
    });
    client.on("grants_changed", () => this.send());
    client.on("peer_joined", ({ peer_id }) => this.#retry((c) => c.peerId === peer_id));
    client.on("peer_left", ({ peer_id }, { reason }) => this.#absent(peer_id, reason));
    client.on("joined", (_body, { rejoined }) => rejoined && this.#retry(() => true));
    client.on("leaving", () => this.#hangUp());
    client.on("left", () => this.#hangUp());
  }

  /** Call a peer, or everyone; see `PresenceClient.call`. */
  call(target, media) {
    if (this.#client.roomName === null) {
      throw new PresenceError("not_joined", "Join a room before calling somebody in it.");
    }
    const call = new Call(this, target, media);
    this.#calls.add(call);
    this.send();
    if (target === everyone) this.#hungUp.clear();
    else this.#hungUp.delete(target);
    if (target !== everyone && !call.connection()) this.#connect(target).start();
    this.#callMissing();
    this.#attend();
    queueMicrotask(() => call.announce());
    return call;
  }

  /** End a call: hang up what no other call needs. */
  end(call) {
    const connections = call.connections;
    this.#calls.delete(call);
    call.finish();
    for (const connection of connections) {
      if (!this.#callsOf(connection.peerId).length) connection.close();
    }
    this.send();
    this.#attend();
  }

  all() {
    return [...this.#connections];
  }

  /** Let every connection send what its calls have now. */
  send() {
    for (const connection of this.#connections) connection.sendMedia();
    this.#attend();
  }

  /**
   * Take a broadcast if it is about calls: somebody asks whether this session takes a call that
   * another of the same peer does not. Returns whether it is.
   */
  rung({ from, from_session, event, data }) {
    if (event !== RING || from === null) return false;
    const refused = Array.isArray(data?.refused) ? data.refused : [];
    const isForUs = data?.to === this.peerId() && !refused.includes(this.#client.session);
    const isTaken = this.#callsOf(from).length > 0 || this.#client.hasListener("call");
    if (isForUs && isTaken) this.signal(from, "here", {}, from_session).catch(() => {});
    return true;
  }

  /** End everything, for good. */
  dispose() {
    this.#hangUp();
    this.#ice.dispose();
    this.#attend();
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

  /** Whether sound and pictures may be sent: the right to signal, and not only to listen. */
  get maySend() {
    return this.#client.grants?.includes("signal") ?? true;
  }

  /** Whether what a peer sends is to be shown. */
  isHeard(peerId) {
    return !this.#unheard.has(peerId);
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

  /** What the calls to a peer send. */
  mediaFor(peerId) {
    return this.#callsOf(peerId).map((call) => call.media);
  }

  /** Send a signal; rejects, later perhaps, when it could not be handed over. */
  async signal(peerId, type, data, session) {
    const answer = await this.#client.signal(peerId, data, { type, session: session ?? undefined });
    if (answer.status !== "held") return;
    await new Promise((resolve, reject) => {
      const settle = (how, value) => {
        clearTimeout(timer);
        for (const stop of stops) stop();
        how(value);
      };
      const stops = [
        this.#client.on("signal_expired", (body) => {
          if (body.signal_id !== answer.signal_id) return;
          settle(reject, new PresenceError(body.code, body.detail, body));
        }),
        this.#client.on("left", () => settle(resolve)),
      ];
      const timer = setTimeout(() => settle(resolve), (answer.expires_in + 2) * 1000);
    });
  }

  /** Ask the sessions of a peer, but those that refused, whether one takes the call. */
  async ring(peerId, refused) {
    const sessions = () => this.#client.activePeers.find((one) => one.peer_id === peerId)?.session_count;
    // Who refused may have come after what the list shows, which is a moment behind.
    const until = Date.now() + LIST_MS;
    while (sessions() <= refused.length && Date.now() < until) await this.#nextList(until - Date.now());
    if (!(sessions() > refused.length)) return false;
    await this.#client.broadcast(RING, { to: peerId, refused });
    return true;
  }

  /** Wait for the next change of the list, but no longer than this. */
  async #nextList(milliseconds) {
    await new Promise((resolve) => {
      const timer = setTimeout(() => settle(), milliseconds);
      const stop = this.#client.on("peers", () => settle());
      const settle = () => {
        clearTimeout(timer);
        stop();
        resolve();
      };
    });
  }

  /** Return the RTCConfiguration with ICE servers whose credentials are good. */
  async configuration() {
    return { ...this.#options.configuration, iceServers: await this.#ice.servers() };
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
    if (this.#connections.size === 0) this.#ice.forget();
    this.#attend();
  }

  /** Use new credentials on every connection. */
  async #refresh(servers) {
    const configuration = { ...this.#options.configuration, iceServers: servers };
    for (const connection of this.#connections) {
      connection.refresh(configuration).catch((error) => this.#client.emit("error", error));
    }
  }

  /** Look after streams, and the network, for as long as there is a call. */
  #attend() {
    const isBusy = this.#calls.size > 0 || this.#connections.size > 0;
    if (isBusy && this.#looking === null) {
      this.#looking = setInterval(() => this.#look(), LOOK_MS);
      globalThis.addEventListener?.("online", this.#online);
    } else if (!isBusy && this.#looking !== null) {
      clearInterval(this.#looking);
      this.#looking = null;
      globalThis.removeEventListener?.("online", this.#online);
    }
  }

  #look() {
    for (const call of this.#calls) call.media.look();
    for (const connection of this.#connections) connection.media.look();
  }

  /** Show no more, or again, what peers send whose rights are others than before. */
  #hear(peers) {
    const before = this.#unheard;
    const unheard = peers.filter(({ grants }) => grants && !grants.includes("signal"));
    this.#unheard = new Set(unheard.map(({ peer_id }) => peer_id));
    if (before.size !== this.#unheard.size || [...before].some((one) => this.isHeard(one))) this.send();
  }

  #callsOf(peerId) {
    return [...this.#calls].filter((call) => call.includes(peerId));
  }

  /** Make a connection that belongs to the calls to its peer. */
  #connect(peerId) {
    this.#hungUp.delete(peerId);
    const connection = new Connection(this, peerId);
    this.#connections.add(connection);
    this.#attend();
    for (const call of this.#callsOf(peerId)) call.adopt(connection);
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

  /** Hang up at once on whoever has gone; whoever was only lost may be back. */
  #absent(peerId, reason) {
    this.#hungUp.delete(peerId);
    this.#early.forget(peerId);
    if (hasGone(reason)) this.#partFrom(peerId, reason);
  }

  #partFrom(peerId, reason) {
    for (const connection of this.all().filter((one) => one.peerId === peerId)) {
      connection.finish(wordsForGone(peerId, reason));
    }
  }

  #hangUp() {
    const calls = [...this.#calls];
    this.#calls.clear();
    for (const connection of this.all()) connection.close();
    for (const call of calls) call.finish();
    this.#hungUp.clear();
    this.#early.clear();
    this.#attend();
  }

  #signalled({ from, from_session, type, data }) {
    // A backend calls nobody.
    if (from === null) return;
    if (!TYPES.has(type) || typeof data !== "object" || data === null) return;
    const { from_connection: theirs = null, to_connection: mine = null } = data;
    if (!isId(theirs) || !isId(mine)) return;
    const connection = this.#find(from, theirs, mine);
    if (type === "offer") return this.#offered(connection, from, from_session, data);
    if (type === "verify") {
      if (connection && connection.id === mine) connection.verified(data, from_session);
      else this.#refuse(from, from_session, theirs);
      return;
    }
    if (type === "here") return this.#wantedBy(from)?.here(from_session);
    if (type === "candidate" && !connection && mine === null) return this.#early.keep(from, data);
    // An answer to a connection of ours that is no more, or a word of one of theirs.
    if (!connection || (mine !== null && mine !== connection.id)) return;
    if (type === "candidate") return connection.candidate(data);
    if (type === "reset") return this.#reset(connection, theirs, from_session);
    const known = connection.remoteId;
    if (type !== "answer" && theirs !== null && known !== null && theirs !== known) return;
    if (type === "answer") connection.answered(data, from_session);
    else if (type === "media") connection.heardOfMedia(data);
    else connection.ended(data.reason, from_session);
  }

  #offered(connection, from, session, data) {
    const { from_connection: theirs = null, to_connection: mine = null, initial = true } = data;
    if (!initial && theirs !== null && (!connection || mine !== connection.id)) {
      // It wants to go on with a connection that this client, newly started perhaps, has not.
      return this.#refuse(from, session, theirs);
    }
    const taken = connection ?? this.#accept(from);
    const early = this.#early.take(from);
    if (taken) {
      taken.offered(data, session);
      for (const candidate of early) taken.candidate(candidate);
    } else if (theirs) {
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
  #reset(connection, theirs, session) {
    const client = theirs?.split(".")[0];
    const other = this.all().find((c) => c !== connection && c.remoteClient === client);
    if (other) connection.finish("Another connection to the same peer took its place.");
    else connection.disowned(session);
  }

  #wantedBy(peerId) {
    return this.all().find((connection) => connection.peerId === peerId && connection.isRinging);
  }

  /** Say that this client has no such connection, so that the peer begins anew. */
  #refuse(peerId, session, theirs) {
    this.#answer(peerId, session, "reset", { from_connection: `${this.clientId}.0`, theirs });
  }

  #answer(peerId, session, type, { theirs, ...data }) {
    this.signal(peerId, type, { ...data, to_connection: theirs }, session).catch(() => {});
  }
}
