// What comes from the peer through one RTCPeerConnection: its streams, and tracks that are in none.

/**
 * Tells of the streams that a peer sends. `tell.stream(stream)` and `tell.removed(stream)`; tracks
 * that the peer sends in no stream come in one that is made here. While it `isShown` no more, there
 * are none for whoever asks.
 */
export class Receiving {
  streams = [];

  #pc;
  #isShown;
  #tell;
  // The tracks in no stream, each with the stream that is made for it and its transceiver.
  #loose = new Map();

  constructor(pc, isShown, tell) {
    this.#pc = pc;
    this.#isShown = isShown;
    this.#tell = tell;
    pc.addEventListener("track", ({ track, streams, transceiver }) => {
      for (const stream of streams) this.#receive(stream);
      if (streams.length === 0) this.#receiveLoose(track, transceiver);
    });
    pc.addEventListener("signalingstatechange", () => pc.signalingState === "stable" && this.#look());
  }

  /** The streams that are to be seen. */
  get shown() {
    return this.#isShown ? this.streams : [];
  }

  /** Show the streams, or none of them. */
  show(isShown) {
    if (isShown === this.#isShown) return;
    this.#isShown = isShown;
    for (const stream of this.streams) isShown ? this.#tell.stream(stream) : this.#tell.removed(stream);
  }

  #receive(stream) {
    if (this.streams.includes(stream)) return;
    this.streams.push(stream);
    const look = () => {
      if (stream.getTracks().length > 0) return;
      stream.removeEventListener("removetrack", look);
      this.#remove(stream);
    };
    stream.addEventListener("removetrack", look);
    if (this.#isShown) this.#tell.stream(stream);
  }

  #receiveLoose(track, transceiver) {
    if (this.#loose.has(track)) return;
    const stream = new MediaStream([track]);
    this.#loose.set(track, { stream, transceiver });
    this.streams.push(stream);
    if (this.#isShown) this.#tell.stream(stream);
  }

  /** Look which tracks without a stream are not sent any more, or are in one by now. */
  #look() {
    for (const [track, { stream, transceiver }] of this.#loose) {
      const isReceived = ["sendrecv", "recvonly"].includes(transceiver.currentDirection);
      const isInStream = this.streams.some((other) => other !== stream && other.getTracks().includes(track));
      if (isReceived && !isInStream) continue;
      this.#loose.delete(track);
      this.#remove(stream);
    }
  }

  #remove(stream) {
    this.streams = this.streams.filter((other) => other !== stream);
    if (this.#isShown) this.#tell.removed(stream);
  }
}
