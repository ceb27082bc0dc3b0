// The others in a call: who is in it and who has gone, each shown with what is to be known of them.

import { keyOf, startOf } from "./call-tiles.js";

// How long a picture does not move before it counts as one of before.
const STILL_MS = 700;
// How many such times somebody without a picture may be away.
const HIDDEN_LOOKS = 5;

/** The key of a person's tile. */
export const personKey = (peerId) => keyOf(peerId, "person");

/**
 * Show those to whom there are `connections()`. `lines` keeps what is known of these, `say(words)` tells what
 * happens, `changed()` is called when others are in the call than before.
 */
export function startOthers({ client, nameOf, connections, pictures, lines, say, changed }) {
  // Whose lines are, or were, up: who never answers is in the room, but not in the call.
  const inCall = new Set();
  // Who has gone as far as the server knows, and shows no moving picture either; and for how many looks.
  const away = new Set();
  const absences = new Map();
  // Whom the news says to be missing.
  let missed = null;
  let timer = null;

  function follow(connection) {
    const { peerId } = connection;
    const person = () => show(connection);
    connection.on("state", ({ state, reason }) => {
      lines.note(connection);
      if (state === "connected") {
        away.delete(peerId);
        absences.delete(peerId);
        welcome(peerId);
      }
      // Nothing there answers any more: they have left, and what said so was lost with a line.
      if (state === "failed" && connection.remoteId === null) part(peerId);
      else if (state === "failed" && inCall.has(peerId)) miss(peerId, reason.replace(`“${peerId}”`, nameOf(peerId)));
      person();
      changed();
    });
    connection.on("stream", person);
    connection.on("media", person);
    connection.on("stream_removed", (stream) => {
      pictures.remove(keyOf(peerId, stream.id));
      person();
    });
    connection.on("open", () => lines.show());
    connection.on("closed", () => {
      lines.forget(peerId);
      part(peerId);
      changed();
    });
    lines.note(connection);
    person();
    changed();
  }

  /** Show a person, and each screen of theirs, as they are now. */
  function show(connection) {
    const { peerId, state, remoteId } = connection;
    if (state === "closed" || away.has(peerId)) return;
    if (remoteId !== null) inCall.add(peerId);
    if (!inCall.has(peerId)) return;
    const name = nameOf(peerId);
    const streams = connection.remoteStreams;
    const screens = streams.filter((stream) => connection.nameOf(stream) === "screen");
    // Other programs may send several pictures and give them no names.
    const [stream = null, ...more] = streams.filter((one) => !screens.includes(one));
    for (const one of stream?.getTracks() ?? []) one.onmute = one.onunmute = () => show(connection);
    if (stream) stream.onremovetrack = stream.onaddtrack = () => show(connection);
    const isReconnecting = ["recovering", "failed"].includes(state);
    // A line is connected before the first picture has come.
    const isDark = connection.hidden || !stream?.getVideoTracks().some(({ muted }) => !muted);
    const isSilent = connection.muted || !stream?.getAudioTracks().length;
    const notes = [];
    if (state === "failed") notes.push(["reconnecting", "no connection"]);
    else if (isReconnecting) notes.push(["reconnecting", "reconnecting"]);
    else if (state === "connecting") notes.push(["reconnecting", "connecting"]);
    else {
      if (isSilent) notes.push(["muted", "muted"]);
      if (isDark) notes.push(["hidden", "camera off"]);
    }
    pictures.set(personKey(peerId), { name, stream, isDark: isDark || isReconnecting, notes, state });
    for (const one of [...screens, ...more]) {
      pictures.set(keyOf(peerId, one.id), {
        kind: "screen",
        name: screens.includes(one) ? `Screen of ${name}` : `${name}, more`,
        stream: one,
        isDark: isReconnecting,
        notes: isReconnecting ? [["reconnecting", "reconnecting"]] : [],
        state,
      });
    }
  }

  /** Somebody is in the call no more, if they were. */
  function part(peerId) {
    pictures.removeAll(startOf(peerId));
    away.delete(peerId);
    if (inCall.delete(peerId)) miss(peerId, `${nameOf(peerId)} is no longer in the call.`);
  }

  function miss(peerId, words) {
    missed = peerId;
    say(words);
  }

  /** Somebody is back: what was said of their leaving is not true any more. */
  function welcome(peerId) {
    if (missed === peerId) say("");
    if (missed === peerId) missed = null;
  }

  /**
   * See whether everybody is here: the list knows at once, a connection much later. A picture that moves is
   * of somebody whom only the server has lost, for a moment; who shows none has some time to come back.
   */
  function look() {
    clearTimeout(timer);
    if (client.state !== "joined") return;
    let again = false;
    for (const connection of connections()) {
      const { peerId } = connection;
      const isHere = client.activePeers.some((peer) => peer.peer_id === peerId);
      const looks = isHere ? 0 : (absences.get(peerId) ?? 0) + 1;
      absences.set(peerId, looks);
      const isDue = looks > (connection.hidden ? HIDDEN_LOOKS : 0);
      const isAway = !isHere && pictures.isStill(personKey(peerId)) && isDue;
      again ||= !isHere;
      if (isAway === away.has(peerId)) continue;
      if (isAway) {
        part(peerId);
        away.add(peerId);
      } else {
        away.delete(peerId);
        welcome(peerId);
      }
      lines.note(connection);
      show(connection);
    }
    changed();
    if (again) timer = setTimeout(look, STILL_MS);
  }

  return {
    follow,
    look,
    isIn: (peerId) => inCall.has(peerId),
    isAway: (peerId) => away.has(peerId),
    count: () => connections().filter(({ peerId }) => inCall.has(peerId)).length,
    clear() {
      clearTimeout(timer);
      for (const all of [inCall, away, absences]) all.clear();
    },
  };
}
