// Who speaks, while there is a call.

import { measure, receivedLevel } from "./call-levels.js";
import { personKey } from "./call-others.js";

const LOOK_MS = 120;
const LOUD = 0.015;
// Between two words nobody is silent.
const HOLD_MS = 900;

/** The key of one's own tile. */
export const OWN = "own";

/** Return `{ start, end }` of looking who speaks, oneself with `devices` unless `isMuted()`. */
export function startSpeaking(devices, isMuted, connections, tiles) {
  const loudAt = new Map();
  let timer = null;
  let measured = null;

  function listen() {
    const track = devices.trackOf("microphone");
    if (measured?.track === track) return;
    measured?.end();
    measured = track && { track, ...measure(track) };
  }

  function tell(key, level) {
    const now = performance.now();
    if (level > LOUD) loudAt.set(key, now);
    tiles.speaks(key, now - (loudAt.get(key) ?? -HOLD_MS) < HOLD_MS);
  }

  function look() {
    listen();
    tell(OWN, measured && !isMuted() ? measured.level() : 0);
    for (const connection of connections()) {
      const person = connection.remoteStreams.find((stream) => connection.nameOf(stream) === null);
      const tracks = connection.muted ? [] : (person?.getAudioTracks() ?? []);
      tell(personKey(connection.peerId), receivedLevel(connection.pc, tracks));
    }
  }

  return {
    start() {
      timer ??= setInterval(look, LOOK_MS);
    },
    end() {
      clearInterval(timer);
      measured?.end();
      timer = measured = null;
      loudAt.clear();
    },
  };
}
