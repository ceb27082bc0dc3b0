// The window in which one looks at oneself before others do, and chooses devices, also in the call.

import { rememberChoice } from "./call-devices.js";
import { measure } from "./call-levels.js";

const LOOK_MS = 100;
// What a voice reaches is far below what a microphone could.
const LOUDEST = 0.25;

/**
 * Make the window work for one's own devices, and the `speaker`. `ask({ title, who, isInCall })` opens it, and resolves with
 * “join”, “blind” for joining without a camera, or null.
 */
export function startPreview(own, speaker) {
  const get = (id) => document.getElementById(id);
  const dialog = get("preview");
  const [video, dark, meter, problem] = ["preview-video", "preview-dark", "preview-level", "preview-problem"].map(get);
  const selects = { camera: get("preview-camera"), microphone: get("preview-microphone") };
  let settle = null;
  let timer = null;
  let measured = null;

  async function show() {
    if (!dialog.open) return;
    const picture = own.trackOf("camera");
    if (video.srcObject?.getTracks()[0] !== picture) video.srcObject = picture ? new MediaStream([picture]) : null;
    video.classList.toggle("mirrored", own.choice.camera !== "test");
    dark.hidden = picture !== null;
    dark.querySelector("span").textContent = darkness();
    if (problem.textContent !== own.problem) problem.textContent = own.problem;
    get("preview-again").hidden = !own.problem;
    get("preview-blind").hidden = dialog.classList.contains("in-call") || picture === null;
    listen();
    speaker.show();
    for (const [name, select] of Object.entries(selects)) {
      const { items, selected } = await own.list(name);
      select.replaceChildren(...items.map(([value, words]) => new Option(words, value)));
      select.value = selected;
    }
  }

  function darkness() {
    if (own.problems.camera) return "No camera";
    return own.choice.camera === "none" ? "Camera off" : "Starting…";
  }

  function listen() {
    const track = own.trackOf("microphone");
    if (measured?.track === track) return;
    measured?.end();
    measured = track && { track, ...measure(track) };
    meter.value = 0;
  }

  function done(how) {
    clearInterval(timer);
    measured?.end();
    measured = video.srcObject = null;
    dialog.close();
    settle?.(how);
    settle = null;
  }

  for (const [name, select] of Object.entries(selects)) {
    select.addEventListener("change", async () => {
      await own.use(name, select.value);
      rememberChoice(own.choice);
    });
  }
  get("preview-join").addEventListener("click", () => done("join"));
  get("preview-blind").addEventListener("click", () => done("blind"));
  get("preview-cancel").addEventListener("click", () => done(null));
  get("preview-again").addEventListener("click", () => own.open({ ...own.choice }));
  dialog.addEventListener("close", () => settle && done(null));
  navigator.mediaDevices?.addEventListener?.("devicechange", show);

  return {
    show,
    ask({ title, who, isInCall }) {
      dialog.classList.toggle("in-call", isInCall);
      get("preview-title").textContent = title;
      get("preview-who").textContent = who;
      get("preview-join").textContent = isInCall ? "Done" : "Join";
      get("preview-cancel").hidden = isInCall;
      get("preview-silence").hidden = !isInCall;
      if (!dialog.open) dialog.showModal();
      get("preview-join").focus();
      clearInterval(timer);
      timer = setInterval(() => measured && (meter.value = Math.min(1, measured.level() / LOUDEST)), LOOK_MS);
      show();
      return new Promise((resolve) => (settle = resolve));
    },
    close: () => dialog.open && done(null),
  };
}
