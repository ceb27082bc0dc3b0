// A picture and a tone made here, for those who have no devices or want to try a call without them.

const FRAMES_PER_SECOND = 10;
const TONE_HZ = 220;

/** Return `{ track, end }`: a moving picture with a name and the time, to see delays by. */
export function testPicture(name) {
  const canvas = document.createElement("canvas");
  canvas.width = 320;
  canvas.height = 240;
  const paint = painter(canvas, name);
  paint();
  const timer = setInterval(paint, 1000 / FRAMES_PER_SECOND);
  const [track] = canvas.captureStream(FRAMES_PER_SECOND).getVideoTracks();
  return { track, end: () => clearInterval(timer) };
}

/** Return `{ track, end }`: a low tone. */
export function testTone() {
  const sound = new AudioContext();
  const tone = new OscillatorNode(sound, { frequency: TONE_HZ });
  const out = sound.createMediaStreamDestination();
  tone.connect(new GainNode(sound, { gain: 0.05 })).connect(out);
  tone.start();
  const [track] = out.stream.getAudioTracks();
  return { track, end: () => sound.close() };
}

function painter(canvas, name) {
  const context = canvas.getContext("2d");
  const hue = [...name].reduce((sum, character) => sum + character.codePointAt(0), 0) % 360;
  return () => {
    const now = new Date();
    const turn = (now.getTime() % 4000) / 4000;
    context.fillStyle = `hsl(${hue} 45% 28%)`;
    context.fillRect(0, 0, 320, 240);
    context.fillStyle = `hsl(${(hue + 40) % 360} 65% 62%)`;
    context.beginPath();
    context.arc(160 + 110 * Math.cos(turn * 2 * Math.PI), 100 + 60 * Math.sin(turn * 2 * Math.PI), 18, 0, 7);
    context.fill();
    context.fillStyle = "#fff";
    context.font = "600 26px system-ui, sans-serif";
    context.textAlign = "center";
    context.fillText(name.slice(0, 18), 160, 112);
    context.font = "16px ui-monospace, monospace";
    context.fillText(now.toISOString().slice(11, 21), 160, 142);
  };
}
