// The peer's candidates for one RTCPeerConnection after the other: those that come before their
// description wait for it.

const MOST = 100;

/** Adds candidates where they belong. */
export class Candidates {
  #early = [];

  /** Add a candidate, or keep it; `remoteId` is the peer's RTCPeerConnection that we talk to. */
  async take(pc, remoteId, data) {
    const theirs = data.from_connection ?? null;
    if (pc?.remoteDescription && (theirs === null || theirs === remoteId)) return add(pc, data);
    if (this.#early.length < MOST) this.#early.push(data);
  }

  /** Add those that waited for the description which has come now. */
  addEarly(pc, remoteId) {
    const early = this.#early;
    this.#early = [];
    for (const data of early) {
      // Those of another connection would only be in the way.
      if ([null, remoteId].includes(data.from_connection ?? null)) add(pc, data).catch(() => {});
    }
  }
}

function add(pc, { candidate, sdpMid, sdpMLineIndex, usernameFragment }) {
  return pc.addIceCandidate({ candidate, sdpMid, sdpMLineIndex, usernameFragment });
}
