// One call to one peer: a data channel and streams over an RTCPeerConnection that both sides may
// negotiate at any time (“perfect negotiation”), that restarts ICE when its path dies, and that is
// built anew when even that does not help.

import { Attempts } from "./attempts.js";
import { Emitter, PresenceError, compare } from "./base.js";
import { Candidates } from "./candidates.js";
import { Channel, notOpen } from "./channel.js";
import { Media } from "./media.js";
import { Outgoing } from "./outgoing.js";
import { isOfAnother, pathOf, whyNoPath } from "./path.js";
import { Receiving } from "./receiving.js";
import { Ringing } from "./ringing.js";
import { Sending } from "./sending.js";

/** A connection to one peer, made by `client.call` or handed to a listener of “call”. */
export class Connection extends Emitter {
  /** connecting, connected, recovering, failed or closed. */
  state = "connecting";
  /** Why it failed or closed, in words; else null. */
  reason = null;
  /** The RTCPeerConnection; another takes its place when it has to be built anew. */
  pc = null;
  /** The data channel, which both sides open as number 0 with the label “presence”. */
  channel = null;
  /** What is sent on this connection alone, besides what its calls send. */
  media = new Media();
  /** Whether the peer has its microphone, or its camera, off. */
  muted = false;
  hidden = false;
  /** The session of the peer that this connection talks to, once known. */
  session = null;
  /** Whether an RTCPeerConnection is being made. */
  isBuilding = false;
  /** Tells this RTCPeerConnection from every other, and the peer's from its others. */
  id = null;
  remoteId = null;

  #link;
  #sending = null;
  #receiving = null;
  #messages = null;
  #isReady = false;
  #outgoing;
  #candidates = new Candidates();
  #ringing;
  #inbox = Promise.resolve();
  #attempts;
  #making = false;
  #ignoring = false;
  #offers = 0;
  // What the peer calls its streams, by their ids.
  #names = new Map();
  #problems = [];
  #configuration = {};

  constructor(link, peerId) {
    super();
    this.#link = link;
    this.peerId = peerId;
    this.#attempts = new Attempts(link, this);
    this.#ringing = new Ringing(link, peerId);
    this.#outgoing = new Outgoing(() => [this.media, ...link.mediaFor(peerId)], () => link.maySend);
    this.media.on("changed", () => this.sendMedia());
  }

  /** The streams that the peer sends. */
  get remoteStreams() {
    return this.#receiving?.shown ?? [];
  }

  /** Whether the other sessions of the peer are asked, since one takes no calls, or has no such. */
  get isRinging() {
    return !["failed", "closed"].includes(this.state) && this.#ringing.isOn;
  }

  /** Whether this side gives way when both offer at once: the smaller id is the polite one. */
  get polite() {
    const order = compare(this.#link.peerId(), this.peerId);
    return (order || compare(this.#link.clientId, this.remoteClient ?? "")) < 0;
  }

  /** The client, among those that stand for the same peer, to which this connection leads. */
  get remoteClient() {
    return this.remoteId?.split(".")[0] ?? null;
  }

  /**
   * Send a text, an ArrayBuffer, a view of one or a Blob over the data channel. Resolves once there is
   * room for it; rejects with `not_open`, `too_large` or `not_sent`.
   */
  async send(message) {
    if (this.channel?.readyState !== "open") throw notOpen(this.peerId);
    return this.#messages.send(message);
  }

  /** Send a stream too, with a name perhaps; it is negotiated by itself. */
  addStream(stream, name) {
    this.media.addStream(stream, name);
  }

  /** Return the name under which the peer sends a stream, or null. */
  nameOf(stream) {
    return this.#names.get(stream.id) ?? null;
  }

  /** Send a stream no longer. */
  removeStream(stream) {
    this.media.removeStream(stream);
  }

  /** Send, and show, what there is to send and to show now; let the peer know what is off. */
  sendMedia() {
    if (!this.#isReady || this.state === "closed") return;
    this.#sending.apply(this.#outgoing.parts);
    this.#receiving.show(this.#link.isHeard(this.peerId));
    if (this.remoteId !== null && this.#outgoing.isNews) this.#tell("media", this.#outgoing.tell());
  }

  /** The peer tells what it has off, and what it calls its streams. */
  heardOfMedia({ muted, hidden, streams }) {
    // A peer may send anything.
    const named = Object.entries(streams ?? {}).filter(([, name]) => typeof name === "string");
    const isNamed = named.length !== this.#names.size || named.some(([id, name]) => this.#names.get(id) !== name);
    const isNew = isNamed || Boolean(muted) !== this.muted || Boolean(hidden) !== this.hidden;
    this.muted = Boolean(muted);
    this.hidden = Boolean(hidden);
    this.#names = new Map(named);
    if (isNew) this.emit("media", { muted: this.muted, hidden: this.hidden });
  }

  /** Return the path's kind, “direct” or “relayed”, its round-trip time and traffic. */
  async stats() {
    return pathOf(this.pc ? await this.pc.getStats() : new Map());
  }

  /** Try again now, after a failure or because the network changed. */
  retry() {
    if (this.state === "closed") return;
    this.session = null;
    this.#ringing.end();
    if (this.state === "failed") this.#setState(this.#attempts.worked ? "recovering" : "connecting");
    this.#attempts.again();
  }

  /** Hang up. */
  close() {
    if (this.state === "closed") return;
    this.#send("bye", { reason: "closed" }).catch(() => {});
    this.finish("This side hung up.", { hungUp: true });
  }

  /** Ask the peer, which was gone for a moment, or from which we were, whether it has its end yet. */
  verify() {
    this.session = null;
    this.#verify();
  }

  /** The peer asks whether this is there: it is, and what is off may have been said in vain. */
  verified({ media }, session) {
    this.session = session;
    if (typeof media === "object" && media !== null) this.heardOfMedia(media);
    this.#tell("media", this.#outgoing.tell());
  }

  /** Begin: build the connection and offer it, to one session of the peer if that is known. */
  start(session = null) {
    // A session that never answered may be of a page that is gone, though not yet missed.
    if (this.remoteId === null || session !== null) this.session = session;
    this.isBuilding = true;
    this.#enqueue(() => this.#build());
    this.#attempts.plan();
  }

  /** Take an offer of the peer. */
  offered(data, session) {
    this.#enqueue(async () => {
      const isFresh = !this.pc?.remoteDescription;
      const isOurs = this.#making || (this.pc && this.pc.signalingState !== "stable");
      // An offer that was declined does not stand in the way of theirs.
      const isDeclined = this.state === "failed" || this.isRinging;
      const mayWin = !this.polite && !isDeclined && !isOfAnother(data, this.pc, this.remoteId);
      this.#ignoring = Boolean(isOurs && mayWin);
      if (this.#ignoring) return;
      // Giving way means starting afresh while nothing is agreed yet: Chromium, when it takes back
      // an offer for which it has gathered no candidate so far, never gathers any.
      if (!this.pc || (isFresh && isOurs) || isOfAnother(data, this.pc, this.remoteId)) {
        await this.#build({ offering: false });
      }
      const { pc } = this;
      this.#learn(data, session);
      await pc.setRemoteDescription({ type: "offer", sdp: data.sdp });
      this.#candidates.addEarly(this.pc, this.remoteId);
      // What we send ourselves joins the answer, so that one exchange is enough.
      this.#isReady = true;
      this.sendMedia();
      await pc.setLocalDescription();
      if (!this.channel) this.#openChannel();
      this.#describe(data.offer);
    });
    if (this.state !== "connected") this.#attempts.plan();
  }

  /** Take the peer's answer. */
  answered(data, session) {
    this.#enqueue(async () => {
      // One that was sent twice, or belongs to an offer that was withdrawn.
      if (this.pc?.signalingState !== "have-local-offer") return;
      if ((data.offer ?? this.#offers) !== this.#offers) return;
      this.#learn(data, session);
      await this.pc.setRemoteDescription({ type: "answer", sdp: data.sdp });
      this.#candidates.addEarly(this.pc, this.remoteId);
      this.sendMedia();
    });
  }

  /** Take a candidate of the peer; one that comes before its description waits for it. */
  candidate(data) {
    this.#enqueue(() => {
      const isIgnored = this.#ignoring;
      return this.#candidates.take(this.pc, this.remoteId, data).catch((error) => {
        // Those of an offer that gave way fit nothing here; so do those that come too late.
        if (!isIgnored && this.state === "connecting") this.#attempts.error = error;
      });
    });
  }

  /** The peer hung up, or this session of it takes no calls. */
  ended(reason, session) {
    if (reason !== "declined") return this.finish(`“${this.peerId}” hung up.`, { hungUp: true });
    this.#attempts.stop();
    this.#ringing.next(session, () => {
      if (!["connecting", "recovering"].includes(this.state)) return;
      this.#setState("failed", `“${this.peerId}” takes no calls at the moment.`);
    });
  }

  /** Another session of the peer takes calls; or is the one that has its end of this. */
  here(session) {
    if (!this.#ringing.found(session)) return;
    if (this.state !== "connected") return this.start(session);
    this.session = session;
    this.#verify();
    if (this.pc.signalingState === "have-local-offer") this.nudge();
  }

  /** A session of the peer has no such connection: if no other has it either, make another. */
  disowned(session) {
    // While there is a path, somebody has: a second tab of the peer may have been asked.
    if (this.state === "connected") this.#ringing.next(session, () => this.#rebuild());
    else this.#rebuild();
  }

  // What the attempts do.

  /** Say once more what was not answered, or look for another path. */
  nudge() {
    if (this.pc.signalingState === "have-local-offer") this.#describe(this.#offers);
    else this.pc.restartIce();
  }

  /** Say in words why there is no connection. */
  fail() {
    const { error, worked } = this.#attempts;
    const reason = whyNoPath(this.peerId, {
      configuration: this.#configuration,
      problems: this.#problems,
      answered: Boolean(this.pc?.remoteDescription) || worked,
    });
    this.#setState("failed", error instanceof PresenceError ? error.detail : reason);
  }

  /** Use new ICE servers; a relayed path moves to them, for its credentials are about to end. */
  async refresh(configuration) {
    const pc = this.pc;
    if (!pc || this.state === "closed") return;
    this.#configuration = configuration;
    pc.setConfiguration(configuration);
    if ((await this.stats()).path === "relayed" && pc === this.pc) pc.restartIce();
  }

  /** End without a word to the peer. */
  finish(reason, { hungUp = false } = {}) {
    if (this.state === "closed") return;
    this.#attempts.stop();
    this.#ringing.end();
    this.#setState("closed", reason);
    this.#dispose();
    this.media.dispose();
    this.#link.closed(this, hungUp);
    this.emit("closed", reason);
  }

  #verify() {
    if (this.remoteId !== null) this.#tell("verify", { media: this.#outgoing.tell() });
  }

  #rebuild() {
    if (this.state === "connected") this.#setState("recovering");
    this.#ringing.end();
    this.session = null;
    this.start();
  }

  async #build({ offering = true } = {}) {
    this.#dispose();
    this.isBuilding = true;
    this.id = this.#link.nextId();
    this.remoteId = null;
    this.#problems = [];
    this.#making = this.#ignoring = false;
    this.#configuration = await this.#link.configuration();
    if (this.state === "closed") return;
    const pc = new this.#link.RTCPeerConnection(this.#configuration);
    this.pc = pc;
    this.isBuilding = false;
    const current = (handler) => (event) => pc === this.pc && handler(event);
    pc.onnegotiationneeded = current(() => this.#offer(pc));
    pc.onicecandidate = current(({ candidate }) => {
      if (candidate) this.#tell("candidate", candidate.toJSON?.() ?? candidate);
    });
    pc.onicecandidateerror = current((problem) => this.#problems.push(problem));
    pc.onconnectionstatechange = current(() => this.#changed(pc.connectionState));
    pc.ondatachannel = current(({ channel }) => this.emit("datachannel", channel));
    this.#sending = new Sending(pc, () => this.polite);
    this.#receiving = new Receiving(pc, this.#link.isHeard(this.peerId), {
      stream: current((stream) => this.emit("stream", stream)),
      removed: current((stream) => this.emit("stream_removed", stream)),
    });
    this.emit("peerconnection", pc);
    // Which makes the browser ask for an offer.
    if (offering) {
      this.#openChannel();
      this.#isReady = true;
      this.sendMedia();
    }
  }

  #openChannel() {
    this.#messages = new Channel(this.pc, this.peerId, {
      opened: () => this.emit("open"),
      ended: () => this.#interrupted(false),
      heard: (message) => this.emit("message", message),
    });
    this.channel = this.#messages.channel;
  }

  #dispose() {
    const { pc } = this;
    this.pc = this.channel = null;
    this.#sending = this.#receiving = null;
    this.#isReady = false;
    this.#messages?.end();
    this.#messages = null;
    pc?.close();
  }

  async #offer(pc) {
    this.#making = true;
    try {
      await pc.setLocalDescription();
      if (pc !== this.pc || pc.signalingState !== "have-local-offer") return;
      this.#offers += 1;
      this.#describe(this.#offers);
      // It, or its answer, may be lost with somebody's line although it was handed over.
      if (this.state === "connected") this.#attempts.plan();
    } catch (error) {
      if (pc === this.pc) this.#attempts.error = error;
    } finally {
      if (pc === this.pc) this.#making = false;
    }
  }

  /** Send the description that was set last, with what was gathered for it so far. */
  #describe(offer) {
    const { type, sdp } = this.pc.localDescription;
    const initial = !this.pc.remoteDescription;
    this.#tell(type, { type, sdp, offer, initial, media: this.#outgoing.tell() });
  }

  /** Tell the peer something; when it cannot be handed over, take the next step soon. */
  #tell(type, data) {
    this.#send(type, data).catch((error) => {
      // That session is over; whichever is the newest may take its place.
      if (error.code === "inactive" || error.code === "expired") this.session = null;
      this.#attempts.failed(error);
    });
  }

  #send(type, data) {
    const message = { ...data, from_connection: this.id, to_connection: this.remoteId };
    return this.#link.signal(this.peerId, type, message, this.session);
  }

  #learn(data, session) {
    this.session = session;
    this.#ringing.end();
    this.remoteId = data.from_connection ?? null;
    if (typeof data.media === "object" && data.media !== null) this.heardOfMedia(data.media);
  }

  #changed(connectionState) {
    if (connectionState === "connected") {
      this.#attempts.succeeded();
      this.#setState("connected");
    } else if (connectionState === "disconnected" || connectionState === "failed") {
      this.#interrupted(connectionState === "failed");
    }
  }

  #interrupted(isOver) {
    if (this.#attempts.worked && this.state !== "failed") this.#setState("recovering");
    this.#attempts.interrupted(isOver);
  }

  /** Do things that must not overlap one after the other. */
  #enqueue(task) {
    const run = async () => this.state === "closed" || task();
    this.#inbox = this.#inbox.then(() =>
      run().catch((error) => {
        // What the peer sent cannot be used, or the connection was closed underneath.
        this.#attempts.error = error;
        if (this.state !== "connected") this.#attempts.failed(error);
      }),
    );
  }

  #setState(state, reason = null) {
    if (state === this.state && reason === this.reason) return;
    this.state = state;
    this.reason = reason;
    this.emit("state", { state, reason });
  }
}
