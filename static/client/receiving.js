// What comes from the peer through one RTCPeerConnection: its streams, and tracks that are in none.

/**
 * Tells of the streams that a peer sends. `tell.stream(stream)` and `tell.removed(stream)`; tracks
 * that the peer sends in no stream come in one that is made here.
 */
export class Receiving {
  streams = [];

  #pc;
  #tell;
  // The tracks in no stream, each with the stream that is made for it and its transceiver.
  #loose = new Map();

  constructor(pc, tell) {
    this.#pc = pc;
    this.#tell = tell;
    pc.addEventListener("track", ({ track, streams, transceiver }) => {
      for (const stream of streams) this.#receive(stream);
      if (streams.length === 0) this.#receiveLoose(track, transceiver);
    });
    pc.addEventListener("signalingstatechange", () => pc.signalingState === "stable" && this.#look());
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
    this.#tell.stream(stream);
  }

  #receiveLoose(track, transceiver) {
    if (this.#loose.has(track)) return;
    const stream = new MediaStream([track]);
    this.#loose.set(track, { stream, transceiver });
    this.streams.push(stream);
    this.#tell.stream(stream);
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
    this.#tell.removed(stream);
  }
}
