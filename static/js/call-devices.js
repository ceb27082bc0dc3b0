// What one sends of oneself: a microphone and a camera, chosen, opened, changed, lost and closed.

import { testPicture, testTone } from "./call-synthetic.js";

const KEY = "presence-devices";
const NONE = "none";
const TEST = "test";
// Whatever the browser takes first.
const USUAL = "";

const KINDS = {
  microphone: { kind: "audio", device: "audioinput", test: "Test tone" },
  camera: { kind: "video", device: "videoinput", test: "Test picture" },
};

/**
 * Return one's own devices. `choice` is `{ microphone, camera }`: an id of a device, “” for the usual one,
 * “test” or “none”. `stream` has the tracks of now; `changed()` is called when they, or `problems`, are others.
 */
export function ownDevices(nameOf, changed) {
  const stream = new MediaStream();
  const choice = { microphone: USUAL, camera: USUAL };
  // Why something is not sent although it was wanted, in words.
  const problems = { microphone: "", camera: "" };
  const causes = { microphone: "", camera: "" };
  const ends = { microphone: null, camera: null };
  // Goes up with each choice, so that a device that is lent too late is given back.
  const turns = { microphone: 0, camera: 0 };

  const trackOf = (name) => stream.getTracks().find(({ kind }) => kind === KINDS[name].kind) ?? null;

  /** Put a track in the place of the one there is. */
  function put(name, track, end = null) {
    const old = trackOf(name);
    const endOld = ends[name];
    if (track) stream.addTrack(track);
    if (old) stream.removeTrack(old);
    old?.stop();
    endOld?.();
    ends[name] = end;
    track?.addEventListener("ended", () => trackOf(name) === track && lost(name));
  }

  /** A device was pulled out. Sound goes on with another; a picture is nobody's to show unasked. */
  async function lost(name) {
    put(name, null);
    choice[name] = NONE;
    causes[name] = "";
    problems[name] = `The ${name} is gone. Choose another.`;
    changed();
    if (name !== "microphone") return;
    await use(name, USUAL);
    if (trackOf(name)) problems[name] = `The microphone is gone; “${trackOf(name).label}” is used instead.`;
    changed();
  }

  const constraints = (id) => (id === USUAL ? true : { deviceId: { ideal: id } });

  async function lend(name, wanted) {
    if (wanted === NONE) return {};
    if (wanted === TEST) return name === "camera" ? testPicture(nameOf()) : testTone();
    if (!navigator.mediaDevices) throw new DOMException("", "InsecureContext");
    const { kind } = KINDS[name];
    const [track] = (await navigator.mediaDevices.getUserMedia({ [kind]: constraints(wanted) })).getTracks();
    return { track };
  }

  async function use(name, wanted) {
    const turn = (turns[name] += 1);
    choice[name] = wanted;
    let found = {};
    let cause = "";
    try {
      found = await lend(name, wanted);
    } catch (error) {
      cause = error.name;
    }
    if (turn !== turns[name]) {
      found.track?.stop();
      found.end?.();
      return;
    }
    causes[name] = cause;
    problems[name] = cause && whyNot(name, cause);
    put(name, found.track ?? null, found.end);
    changed();
  }

  return {
    stream,
    choice,
    problems,
    /** Why not everything is sent that was wanted, in words, or “”. */
    get problem() {
      const isSame = causes.camera !== "" && causes.camera === causes.microphone;
      if (isSame) return whyNot("camera or microphone", causes.camera);
      return [problems.microphone, problems.camera].filter(Boolean).join(" ");
    },
    trackOf,
    use,
    /** Choose both; where both are devices the browser asks once. */
    async open({ microphone, camera }) {
      const wanted = { microphone, camera };
      const names = Object.keys(KINDS);
      const isReal = (value) => value !== NONE && value !== TEST;
      if (!names.every((name) => isReal(wanted[name])) || !navigator.mediaDevices) {
        await Promise.all(names.map((name) => use(name, wanted[name])));
        return;
      }
      const begun = {};
      for (const name of names) {
        begun[name] = turns[name] += 1;
        choice[name] = wanted[name];
      }
      const both = { audio: constraints(microphone), video: constraints(camera) };
      const lent = await navigator.mediaDevices.getUserMedia(both).catch(() => null);
      // Another may have been chosen meanwhile.
      const isCurrent = (name) => begun[name] === turns[name];
      // What it lends not together it may lend one by one, without asking again.
      if (!lent) {
        await Promise.all(names.filter(isCurrent).map((name) => use(name, wanted[name])));
        return;
      }
      for (const track of lent.getTracks()) {
        const name = names.find((one) => KINDS[one].kind === track.kind);
        if (!isCurrent(name)) {
          track.stop();
          continue;
        }
        causes[name] = problems[name] = "";
        put(name, track);
      }
      changed();
    },
    /** Give everything back. */
    close() {
      for (const name of Object.keys(KINDS)) {
        turns[name] += 1;
        causes[name] = problems[name] = "";
        put(name, null);
      }
    },
    /** Return what there is to choose from, `[[value, words]]`, and which of it is used. */
    async list(name) {
      const all = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
      const { device, test } = KINDS[name];
      const found = all.filter(({ kind, deviceId }) => kind === device && deviceId !== "default" && deviceId !== "communications");
      // Before a browser has lent one it tells neither ids nor names.
      const known = found.filter(({ deviceId }) => deviceId);
      const used = trackOf(name)?.getSettings().deviceId;
      const items = known.map(({ deviceId, label }, at) => [deviceId, label || `${capital(name)} ${at + 1}`]);
      if (items.length === 0) items.push([USUAL, found.length ? `The usual ${name}` : `No ${name} found`]);
      items.push([TEST, test], [NONE, "None"]);
      const isListed = (value) => items.some(([one]) => one === value);
      const selected = isListed(choice[name]) ? choice[name] : isListed(used) ? used : items[0][0];
      return { items, selected };
    },
  };
}

/** Return what was chosen in this browser before. */
export function rememberedChoice() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    const read = (value) => (typeof value === "string" ? value : USUAL);
    return { microphone: read(kept?.microphone), camera: read(kept?.camera) };
  } catch {
    return { microphone: USUAL, camera: USUAL };
  }
}

/** Keep what was chosen, if the browser lets us. */
export function rememberChoice(choice) {
  try {
    localStorage.setItem(KEY, JSON.stringify(choice));
  } catch {
    // Then it is chosen anew next time.
  }
}

function whyNot(device, cause) {
  if (cause === "InsecureContext") return `This page is not secure (HTTPS), so browsers lend it no ${device}.`;
  if (cause === "NotAllowedError") return `The browser lends no ${device}: allow it beside the address above, and try again.`;
  if (cause === "NotFoundError") return `There is no ${device}.`;
  if (cause === "NotReadableError") return `No ${device} starts; another program may have it.`;
  return `No ${device} can be used just now (${cause}).`;
}

function capital(word) {
  return word[0].toUpperCase() + word.slice(1);
}
