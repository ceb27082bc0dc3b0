// Sends the parts of calls through one RTCPeerConnection, in as few sections of its offers as there
// ever were parts at once: one that is free is used again.

/** What one RTCPeerConnection sends. */
export class Sending {
  #pc;
  // The place that a part has, `{ transceiver, track }`: what was put there last, which the sender
  // shows a moment later only.
  #places = new Map();
  #freed = new Set();
  #givesWay;

  /** `givesWay()` tells whether an offer made now may be taken back, for one of the peer. */
  constructor(pc, givesWay) {
    this.#pc = pc;
    this.#givesWay = givesWay;
  }

  /** Send these parts and no others: `[{ part, isPaused }]`. */
  apply(wanted) {
    if (this.#pc.signalingState === "closed") return;
    const parts = wanted.map(({ part }) => part);
    for (const [part, { transceiver }] of this.#places) {
      if (parts.includes(part) && !isStopped(transceiver)) continue;
      this.#places.delete(part);
      if (isStopped(transceiver)) continue;
      this.#freed.add(transceiver);
      this.#pc.removeTrack(transceiver.sender);
      // Which passes over a sender that has no track for now, as one that is paused.
      transceiver.direction = isReceiving(transceiver) ? "recvonly" : "inactive";
    }
    for (const { part, isPaused } of wanted) {
      const track = isPaused ? null : part.track;
      const place = this.#places.get(part) ?? this.#take(part);
      if (place.track === track) continue;
      place.track = track;
      // It fails only when the connection was closed meanwhile.
      place.transceiver.sender.replaceTrack(track).catch(() => {});
    }
  }

  #take(part) {
    const shown = part.shown ? [part.shown] : [];
    const transceivers = this.#pc.getTransceivers();
    let transceiver = transceivers.find((one) => this.#isFree(one, part.kind));
    let track = null;
    if (transceiver) {
      this.#freed.delete(transceiver);
      // Where this is not there, the peer goes on seeing the place in the stream that it had.
      transceiver.sender.setStreams?.(...shown);
      transceiver.direction = isReceiving(transceiver) ? "sendrecv" : "sendonly";
    } else {
      transceiver = this.#add(part.track, shown);
      ({ track } = part);
    }
    const place = { transceiver, track };
    this.#places.set(part, place);
    return place;
  }

  #add(track, streams) {
    // Otherwise the browser would choose one that only receives.
    if (this.#sparesReceivers) return this.#pc.addTransceiver(track, { streams });
    const sender = this.#pc.addTrack(track, ...streams);
    return this.#pc.getTransceivers().find((one) => one.sender === sender);
  }

  /**
   * Whether nothing is sent where something is received. Chromium, when it takes back an offer that
   * would have begun to, decodes what comes in there from then on but shows none of it (seen in 156).
   */
  get #sparesReceivers() {
    return this.#pc.signalingState !== "have-remote-offer" && this.#givesWay();
  }

  #isFree(transceiver, kind) {
    if (isStopped(transceiver) || transceiver.receiver.track.kind !== kind) return false;
    if (transceiver.currentDirection === "recvonly" && this.#sparesReceivers) return false;
    if ([...this.#places.values()].some((place) => place.transceiver === transceiver)) return false;
    return this.#freed.has(transceiver) || transceiver.sender.track === null;
  }
}

function isStopped({ stopped, direction, currentDirection }) {
  return stopped === true || direction === "stopped" || currentDirection === "stopped";
}

function isReceiving({ direction }) {
  return direction === "recvonly" || direction === "sendrecv";
}
