// The tracks of the streams that go through an RTCPeerConnection.

/** Send every track of a stream that is not sent yet. */
export function addTracks(pc, stream) {
  const sent = new Set(pc.getSenders().map((sender) => sender.track));
  for (const track of stream.getTracks()) {
    if (!sent.has(track)) pc.addTrack(track, stream);
  }
}

/** Send no track of a stream any more. */
export function removeTracks(pc, stream) {
  const tracks = new Set(stream.getTracks());
  for (const sender of pc.getSenders()) {
    if (tracks.has(sender.track)) pc.removeTrack(sender);
  }
}

/** Call `gone` when the peer has taken every track of its stream back. */
export function whenEmpty(stream, gone) {
  stream.onremovetrack = () => {
    if (stream.getTracks().length === 0) gone();
  };
}
