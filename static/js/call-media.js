// What one sends in a call: camera and microphone, or a picture and a tone made here.

const FRAMES_PER_SECOND = 10;
const TONE_HZ = 220;

/**
 * Return `{ stream, kind, note }` for what was chosen; `stream` is null for nothing.
 *
 * Where there is no camera or it is not lent, the synthetic kind comes instead, and `note` says why.
 */
export async function openMedia(choice, name) {
  if (choice === "nothing") return { stream: null, kind: "nothing", note: "" };
  if (choice === "synthetic") return { stream: synthetic(name), kind: "synthetic", note: "" };
  try {
    if (!navigator.mediaDevices) throw new DOMException("", "InsecureContext");
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    return { stream, kind: "camera", note: "" };
  } catch (error) {
    const note = `${whyNot(error)} A synthetic picture and tone are sent instead.`;
    return { stream: synthetic(name), kind: "synthetic", note };
  }
}

/** Stop a stream, and what makes it. */
export function closeMedia(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream?.tidyUp?.();
}

function whyNot({ name }) {
  if (name === "InsecureContext") return "This page is not secure (HTTPS), so browsers lend it no camera.";
  if (name === "NotAllowedError") return "Camera and microphone were not allowed.";
  if (name === "NotFoundError") return "There is no camera or microphone.";
  return `Camera and microphone cannot be used just now (${name}).`;
}

function synthetic(name) {
  const canvas = document.createElement("canvas");
  canvas.width = 320;
  canvas.height = 240;
  const paint = painter(canvas, name);
  paint();
  const timer = setInterval(paint, 1000 / FRAMES_PER_SECOND);
  const stream = canvas.captureStream(FRAMES_PER_SECOND);

  const sound = new AudioContext();
  const tone = new OscillatorNode(sound, { frequency: TONE_HZ });
  const out = sound.createMediaStreamDestination();
  tone.connect(new GainNode(sound, { gain: 0.03 })).connect(out);
  tone.start();
  for (const track of out.stream.getAudioTracks()) stream.addTrack(track);

  stream.tidyUp = () => {
    clearInterval(timer);
    sound.close();
  };
  return stream;
}

/** Return a function that paints a moving picture with a name and the time, to see delays by. */
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
