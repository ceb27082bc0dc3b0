// What `client.call` returns: the connections to one peer or to everyone, and what they send.

import { Emitter } from "./base.js";
import { Media } from "./media.js";

/** Calls every other peer of the room, those who come later included. */
export const everyone = Symbol("everyone");

/** A call to one peer, or to everyone, in the room in which it was begun. */
export class Call extends Emitter {
  /** Whether it has ended: closed, or its room was left. */
  ended = false;

  #calls;
  // Connections that were told of, each with what stops listening to it; none before `announce`.
  #told = null;

  constructor(calls, target, media) {
    super();
    this.#calls = calls;
    this.target = target;
    this.media = new Media();
    this.media.add(media);
    this.media.on("changed", () => calls.send());
  }

  /** The connections that this call has now. */
  get connections() {
    return this.ended ? [] : this.#calls.all().filter((connection) => this.includes(connection.peerId));
  }

  /** The streams, and the tracks, that its connections send. */
  get streams() {
    return this.media.streams;
  }

  get tracks() {
    return this.media.tracks;
  }

  /** Whether the others are told that one's microphone, or camera, is off. */
  get muted() {
    return this.media.paused.audio;
  }

  get hidden() {
    return this.media.paused.video;
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

  /**
   * Send a stream too, on every connection that there is or will be. One with a name, such as “screen”, is
   * something of its own: `mute` and `hide` leave it alone, and the others hear its name.
   */
  addStream(stream, name) {
    this.media.addStream(stream, name);
  }

  /** Send a stream no longer. */
  removeStream(stream) {
    this.media.removeStream(stream);
  }

  /** Send a track too, which the others see in `stream` if one is given. */
  addTrack(track, stream) {
    this.media.addTrack(track, stream);
  }

  /** Send a track no longer. */
  removeTrack(track) {
    this.media.removeTrack(track);
  }

  /** Send another track of the same kind in one's place, which needs no new offer. */
  replaceTrack(old, track) {
    this.media.replaceTrack(old, track);
  }

  /** Send this stream in the place of everything sent so far; `null` sends nothing. */
  setStream(stream) {
    this.media.setStream(stream);
  }

  /** Send no sound until `unmute`, and let the others know. */
  mute() {
    this.media.pause("audio", true);
  }

  unmute() {
    this.media.pause("audio", false);
  }

  /** Send no picture until `show`, and let the others know. */
  hide() {
    this.media.pause("video", true);
  }

  show() {
    this.media.pause("video", false);
  }

  /** Tell of the connections that there are by now: whoever made the call can listen already. */
  announce() {
    this.#told = new Map();
    for (const connection of this.connections) this.adopt(connection);
  }

  /** A connection belongs to this call: tell of it, and of what it tells. */
  adopt(connection) {
    if (this.#told === null || this.#told.has(connection)) return;
    const pass = (event) => connection.on(event, (value) => this.emit(event, value, connection));
    const stops = ["stream", "stream_removed", "message", "media"].map(pass);
    stops.push(connection.on("closed", () => this.#forget(connection)));
    this.#told.set(connection, stops);
    this.emit("connection", connection);
    for (const stream of connection.remoteStreams) this.emit("stream", stream, connection);
  }

  #forget(connection) {
    for (const stop of this.#told.get(connection) ?? []) stop();
    this.#told.delete(connection);
  }

  /** Hang up every connection of the call, and take no more. */
  close() {
    if (!this.ended) this.#calls.end(this);
  }

  /** It is over: nothing is sent, and nobody called, any more. */
  finish() {
    this.ended = true;
    this.media.dispose();
    for (const connection of [...(this.#told?.keys() ?? [])]) this.#forget(connection);
    this.emit("closed");
  }
}
