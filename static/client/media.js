// What is sent in a call: tracks, each in a place of its own that outlives the track.

import { Emitter, PresenceError } from "./base.js";

/** A place in a call: what is in it may change, be paused or come back without an offer. */
export class Part {
  /** The stream of which the track was taken, which is looked at for changes; or null. */
  source;
  /** The stream that the peer sees it in; or null for none. */
  shown;
  /** Whether the track is another than the source's. */
  isReplaced = false;

  constructor(track, source, shown = source) {
    this.track = track;
    this.kind = track.kind;
    this.source = source;
    this.shown = shown;
  }
}

/** The parts that a call, or a connection, sends. Emits “changed”. */
export class Media extends Emitter {
  parts = [];
  /** Which kinds are not sent for now. */
  paused = { audio: false, video: false };

  // Where tracks were that have gone, so that what replaces them goes there too.
  #places = new WeakMap();
  // Tracks that are not to be sent, although they are in a stream that is.
  #left = new WeakSet();
  #sources = new Map();

  /** The streams that are sent. */
  get streams() {
    return [...this.#sources.keys()];
  }

  /** The tracks that are sent. */
  get tracks() {
    return this.parts.map((part) => part.track);
  }

  /** Send a stream, a track, or several of them. */
  add(media) {
    for (const item of [media ?? []].flat()) {
      if (typeof item.getTracks === "function") this.addStream(item);
      else this.addTrack(item);
    }
  }

  /** Send a stream; one with a name is something of its own, such as a screen, which no `pause` touches. */
  addStream(stream, name = null) {
    if (this.#sources.has(stream)) return;
    for (const track of stream.getTracks()) this.#left.delete(track);
    this.#watch(stream, name);
    this.look();
  }

  /** Return the name of the stream that a part is of, or null. */
  nameOf({ source }) {
    return this.#sources.get(source)?.name ?? null;
  }

  removeStream(stream) {
    this.#unwatch(stream);
    this.#keep((part) => part.source !== stream);
  }

  /** Send a track, which the peer sees in a stream if one is given. */
  addTrack(track, stream = null) {
    if (this.#has(track)) return;
    this.#left.delete(track);
    this.parts.push(new Part(track, null, stream));
    this.#places.set(track, stream);
    this.emit("changed");
  }

  removeTrack(track) {
    this.#left.add(track);
    this.#keep((part) => part.track !== track);
  }

  /** Put a track in another's place; `null` leaves the place empty. */
  replaceTrack(old, track) {
    if (track !== null && track.kind !== old.kind) {
      throw new PresenceError("invalid_field", `A track of ${old.kind} cannot be replaced by one of ${track.kind}.`);
    }
    if (old === track) return;
    const part = this.parts.find((one) => one.track === old);
    if (track === null) return this.removeTrack(old);
    const shown = part?.shown ?? this.#places.get(old) ?? null;
    if (!part) return this.addTrack(track, shown);
    this.#left.add(old);
    this.#left.delete(track);
    this.#places.set(track, shown);
    part.track = track;
    part.isReplaced = !part.source?.getTracks().includes(track);
    this.emit("changed");
  }

  /** Send this stream in the place of all that is sent; `null` sends nothing. */
  setStream(stream) {
    const tracks = stream?.getTracks().filter(isLive) ?? [];
    const [shown = stream] = this.parts.map((part) => part.shown).filter(Boolean);
    const before = this.parts;
    for (const other of this.streams) this.#unwatch(other);
    this.parts = tracks.map((track) => {
      const at = before.findIndex((part) => part.kind === track.kind);
      const [part] = at < 0 ? [new Part(track, stream, shown)] : before.splice(at, 1);
      Object.assign(part, { track, source: stream, isReplaced: false });
      this.#left.delete(track);
      this.#places.set(track, part.shown);
      return part;
    });
    if (stream) this.#watch(stream);
    this.emit("changed");
  }

  /** Send nothing of a kind for now, or go on. */
  pause(kind, isPaused) {
    if (this.paused[kind] === isPaused) return;
    this.paused = { ...this.paused, [kind]: isPaused };
    this.emit("changed");
  }

  /** Look whether the streams still have the tracks that they had. */
  look() {
    const before = this.tracks;
    const gone = this.parts.filter((part) => !isLive(part.track) || !isInSource(part));
    for (const stream of this.streams) {
      for (const track of stream.getTracks()) {
        if (!isLive(track) || this.#has(track) || this.#left.has(track)) continue;
        const at = gone.findIndex((part) => part.source === stream && part.kind === track.kind);
        const shown = this.parts.find((part) => part.source === stream)?.shown ?? stream;
        if (at < 0) this.parts.push(new Part(track, stream, shown));
        else gone.splice(at, 1)[0].track = track;
        this.#places.set(track, shown);
      }
    }
    this.parts = this.parts.filter((part) => !gone.includes(part));
    const { tracks } = this;
    if (tracks.length !== before.length || tracks.some((track, at) => track !== before[at])) this.emit("changed");
  }

  /** Look at no stream any more. */
  dispose() {
    for (const stream of this.streams) this.#unwatch(stream);
    this.removeAllListeners();
  }

  #has(track) {
    return this.parts.some((part) => part.track === track);
  }

  #keep(which) {
    const kept = this.parts.filter(which);
    if (kept.length === this.parts.length) return;
    this.parts = kept;
    this.emit("changed");
  }

  #watch(stream, name = null) {
    const look = () => this.look();
    for (const event of ["addtrack", "removetrack"]) stream.addEventListener?.(event, look);
    this.#sources.set(stream, { look, name });
  }

  #unwatch(stream) {
    const watched = this.#sources.get(stream);
    this.#sources.delete(stream);
    for (const event of ["addtrack", "removetrack"]) stream.removeEventListener?.(event, watched?.look);
  }
}

function isLive(track) {
  return track.readyState !== "ended";
}

function isInSource({ source, track, isReplaced }) {
  return source === null || isReplaced || source.getTracks().includes(track);
}
