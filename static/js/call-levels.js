// How loud something is: one's own microphone by looking at its samples, others by what came with their sound.

let context = null;
let users = 0;

/** Measure a track of sound: `level()` returns 0 to 1, `end()` stops it. */
export function measure(track) {
  context ??= new AudioContext();
  users += 1;
  const source = context.createMediaStreamSource(new MediaStream([track]));
  // As long as it takes until somebody looks again, so that no short sound is missed.
  const analyser = new AnalyserNode(context, { fftSize: 8192 });
  const samples = new Float32Array(analyser.fftSize);
  source.connect(analyser);
  // Before anybody has touched the page it may not.
  context.resume().catch(() => {});
  return {
    level() {
      analyser.getFloatTimeDomainData(samples);
      return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
    },
    end() {
      source.disconnect();
      users -= 1;
      if (users > 0) return;
      context.close();
      context = null;
    },
  };
}

// The last packet of each receiver: one whose packets end says nothing more.
const heard = new WeakMap();

/** Return how loud what a connection receives in these tracks is, 0 to 1. */
export function receivedLevel(pc, tracks) {
  let loudest = 0;
  for (const receiver of pc?.getReceivers() ?? []) {
    if (receiver.track.kind !== "audio" || !tracks.includes(receiver.track)) continue;
    const [latest] = receiver.getSynchronizationSources();
    const isNew = latest && heard.get(receiver) !== latest.rtpTimestamp;
    heard.set(receiver, latest?.rtpTimestamp);
    if (isNew) loudest = Math.max(loudest, latest.audioLevel ?? 0);
  }
  return loudest;
}
