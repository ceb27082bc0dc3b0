// The call itself: with everyone in the room, through the client's own `call`, on a stage that takes the page.

import { startChat } from "./call-chat.js";
import { ownDevices, rememberedChoice } from "./call-devices.js";
import { startLines } from "./call-lines.js";
import { startPreview } from "./call-preview.js";
import { shareScreen } from "./call-screen.js";
import { OWN, startSpeaking } from "./call-speaking.js";
import { tiles } from "./call-tiles.js";
import { startView } from "./call-view.js";

// Everybody sends to everybody: beyond this, upload bandwidth gives out long before the browser.
const MOST = 12;
// How long a picture does not move before it counts as one of before.
const STILL_MS = 700;
// How many such times somebody without a picture may be away.
const HIDDEN_LOOKS = 5;
// The keys of one's own tiles; those of others begin with their peer_id.
const OWN_SCREEN = "own screen";
const LOST = "The server does not answer. The call goes on.";
// What a second tab sends: no device, which the first has, and no sound, which both would hear.
const QUIET = { microphone: "none", camera: "test" };

/** Make the stage work; returns `{ begin, isOn }`. `icons` is the address of the icons. */
export function startStage(room, icons) {
  const { client, nameOf } = room;
  const get = (id) => document.getElementById(id);
  const [news, button] = ["stage-news", "call-button"].map(get);
  const pictures = tiles(get("large"), get("tiles"), icons, () => (get("stage-hear").hidden = false));
  const connections = () => call?.connections ?? [];
  const view = startView(get("stage"));
  const chat = startChat(connections, () => view.wrote());
  const own = ownDevices(() => client.username, changed);
  const preview = startPreview(own);
  const screen = shareScreen(changed);
  const lines = startLines({ connections, own: () => client.peerId, nameOf, isAway: (peerId) => away.has(peerId) });
  const speaking = startSpeaking(own, () => isMuted, connections, pictures);
  let call = null;
  let isBeginning = false;
  // One's own picture as it is shown, and the screen as it is sent.
  let seen = { track: null, stream: null };
  let shared = null;
  let isMuted = false;
  // The camera to start again, and what is wrong with devices.
  let camera = "";
  let problem = "";
  // Whom the news says to be missing.
  let missed = null;
  let absenceTimer = null;
  // Who has gone as far as the server knows, and shows no moving picture either; and for how many looks.
  const away = new Set();
  const absences = new Map();
  // Whose lines are, or were, up: who never answers is in the room, but not in the call.
  const inCall = new Set();

  const maySend = () => client.grants?.includes("signal") ?? true;
  const others = () => client.activePeers.filter(({ peer_id }) => peer_id !== client.peerId);

  /**
   * Join the call. Where somebody would see it, one looks at oneself before; `check` asks for that anyway,
   * `again` does without, as after a reload. `choice` are the devices, and whether the microphone is muted.
   */
  async function begin({ check = false, again = false, second = false, choice = second ? QUIET : rememberedChoice() } = {}) {
    if (call) return view.open();
    if (isBeginning || client.roomName === null) return;
    if (others().length >= MOST) {
      room.say(`${others().length + 1} people are here. In a mesh everybody sends to everybody, so it takes ${MOST} at most.`);
      return;
    }
    isBeginning = true;
    try {
      const isFree = again || second;
      const asked = check || (others().length > 0 && !isFree) ? ask() : null;
      room.say(asked ? "" : "Opening camera and microphone…");
      const opening = own.open(choice);
      if (!asked) await opening;
      // Somebody may have come while the browser asked.
      const how = await (asked ?? (own.problem || (others().length > 0 && !isFree) ? ask() : "join"));
      room.say("");
      if (how === null || client.roomName === null) return own.close();
      if (how === "blind") await own.use("camera", "none");
      join(choice.isMuted === true);
    } finally {
      isBeginning = false;
    }
  }

  function ask() {
    const names = others().map(({ username }) => username);
    const who = names.length ? `${listed(names)} ${names.length > 1 ? "are" : "is"} here.` : "Nobody else is here yet.";
    return preview.ask({ title: "Join the call", who, isInCall: false });
  }

  function join(muted) {
    call = client.call(room.everyone);
    call.addStream(own.stream);
    call.on("connection", follow);
    news.textContent = maySend() ? "" : "You may listen only: nobody hears or sees you.";
    mute(muted);
    view.open();
    speaking.start();
    changed();
  }

  function end() {
    preview.close();
    if (!call) return;
    clearTimeout(absenceTimer);
    speaking.end();
    screen.end();
    const ended = call;
    call = shared = null;
    problem = "";
    seen = { track: null, stream: null };
    ended.close();
    own.close();
    pictures.clear();
    chat.clear();
    lines.clear();
    away.clear();
    absences.clear();
    inCall.clear();
    get("stage-hear").hidden = true;
    get("call-sound").checked = false;
    pictures.silence(false);
    view.close();
    room.calling(null);
    room.say("You have left the call.");
    if (button.checkVisibility()) button.focus();
  }

  function follow(connection) {
    const { peerId } = connection;
    const person = () => show(connection);
    connection.on("state", ({ state, reason }) => {
      lines.note(connection);
      if (state === "connected") welcome(peerId);
      // Nothing there answers any more: they have left, and what said so was lost with a line.
      if (state === "failed" && connection.remoteId === null) part(peerId);
      else if (state === "failed" && reason && inCall.has(peerId)) miss(peerId, reason.replace(`“${peerId}”`, nameOf(peerId)));
      person();
      count();
    });
    connection.on("stream", person);
    connection.on("media", person);
    connection.on("stream_removed", (stream) => {
      pictures.remove(`${peerId} ${stream.id}`);
      person();
    });
    connection.on("open", () => lines.show());
    connection.on("message", (message) => hear(connection, message));
    connection.on("closed", () => {
      lines.forget(peerId);
      part(peerId);
      count();
    });
    lines.note(connection);
    person();
    count();
  }

  /** Show a person, and each screen of theirs, as they are now. */
  function show(connection) {
    const { peerId, state, remoteId } = connection;
    if (!call || state === "closed" || away.has(peerId)) return;
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
    pictures.set(`${peerId} person`, { name, stream, isDark: isDark || isReconnecting, notes, state });
    for (const one of [...screens, ...more]) {
      pictures.set(`${peerId} ${one.id}`, {
        kind: "screen",
        name: screens.includes(one) ? `Screen of ${name}` : `${name}, more`,
        stream: one,
        isDark: isReconnecting,
        notes: isReconnecting ? [["reconnecting", "reconnecting"]] : [],
        state,
      });
    }
  }

  /** Something of one's own is different: devices, what is off, the screen. */
  function changed() {
    preview.show();
    if (!call) return;
    const [microphone, video] = [own.trackOf("microphone"), own.trackOf("camera")];
    view.off("call-microphone", isMuted || !microphone, isMuted || !microphone ? "Unmute" : "Mute");
    view.off("call-camera", !video, video ? "Stop camera" : "Start camera");
    view.on("call-screen", screen.stream !== null, screen.stream ? "Stop sharing" : "Share screen");
    get("call-screen").hidden = !screen.isPossible;
    if (video) call.show();
    else call.hide();
    if (isMuted || !microphone) call.mute();
    else call.unmute();
    const notes = [];
    if (!microphone) notes.push(["muted", "no microphone"]);
    else if (isMuted) notes.push(["muted", "muted"]);
    if (!video) notes.push(["hidden", "camera off"]);
    if (video !== seen.track) seen = { track: video, stream: video && new MediaStream([video]) };
    const mirrored = own.choice.camera !== "test";
    pictures.set(OWN, { own: true, name: "You", face: client.username, stream: seen.stream, isDark: !video, notes, mirrored, state: "connected" });
    if (own.problem !== problem) news.textContent = problem = own.problem;
    shareOwn();
    room.calling({ ...own.choice, isMuted });
    count();
  }

  function shareOwn() {
    if (screen.stream === shared) return;
    if (shared) call.removeStream(shared);
    shared = screen.stream;
    if (!shared) return pictures.remove(OWN_SCREEN);
    call.addStream(shared, "screen");
    pictures.set(OWN_SCREEN, { own: true, kind: "screen", name: "Your screen", stream: shared, state: "connected" });
  }

  /** Say who is in the call, who only in the room, and how to get somebody where there is nobody. */
  function count() {
    if (!call) return;
    const here = connections().filter(({ peerId }) => inCall.has(peerId)).length;
    const outside = others().filter(({ peer_id }) => !inCall.has(peer_id)).map(({ username }) => username);
    const words = [`${here + 1} in the call`];
    if (outside.length) words.push(`${listed(outside)} not in it`);
    get("stage-who").textContent = words.join(" · ");
    get("alone").hidden = here > 0;
    get("alone-words").textContent = outside.length
      ? `${listed(outside)} ${outside.length > 1 ? "are" : "is"} in the room, and told that you call.`
      : "Nobody else is here yet. Invite somebody:";
    lines.show();
  }

  /** Somebody is in the call no more, if they were. */
  function part(peerId) {
    for (const key of pictures.keys(`${peerId} `)) pictures.remove(key);
    away.delete(peerId);
    if (call && inCall.delete(peerId)) miss(peerId, `${nameOf(peerId)} is no longer in the call.`);
  }

  function miss(peerId, words) {
    missed = peerId;
    news.textContent = words;
  }

  /** Somebody is back: what was said of their leaving is not true any more. */
  function welcome(peerId) {
    if (missed === peerId) news.textContent = "";
    if (missed === peerId) missed = null;
  }

  /**
   * See whether everybody is here: the list knows at once, a connection much later. A picture that moves is
   * of somebody whom only the server has lost, for a moment; who shows none has some time to come back.
   */
  function markAbsent() {
    clearTimeout(absenceTimer);
    if (!call || client.state !== "joined") return;
    let again = false;
    for (const connection of connections()) {
      const { peerId } = connection;
      const isHere = client.activePeers.some((peer) => peer.peer_id === peerId);
      const looks = isHere ? 0 : (absences.get(peerId) ?? 0) + 1;
      absences.set(peerId, looks);
      const isAway = !isHere && pictures.isStill(`${peerId} person`) && looks > (connection.hidden ? HIDDEN_LOOKS : 0);
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
    count();
    if (again) absenceTimer = setTimeout(markAbsent, STILL_MS);
  }

  function hear(connection, message) {
    let body = null;
    try {
      body = JSON.parse(message);
    } catch {
      // A client of another kind; what it says is shown as it is.
    }
    if (body?.presence === "mesh") return lines.hear(connection, body);
    const text = body?.presence === "chat" ? body.text : message;
    chat.hear(nameOf(connection.peerId), typeof text === "string" ? text : "[binary]");
  }

  function mute(muted) {
    isMuted = muted;
    changed();
  }

  async function pressMicrophone() {
    if (own.trackOf("microphone")) return mute(!isMuted);
    isMuted = false;
    await own.use("microphone", "");
  }

  async function pressCamera() {
    if (own.trackOf("camera")) {
      camera = own.choice.camera;
      await own.use("camera", "none");
    } else {
      await own.use("camera", camera);
    }
  }

  async function pressScreen() {
    news.textContent = "";
    if (screen.stream) screen.end();
    else news.textContent = await screen.begin();
  }

  get("call-microphone").addEventListener("click", pressMicrophone);
  get("call-camera").addEventListener("click", pressCamera);
  get("call-screen").addEventListener("click", pressScreen);
  get("call-leave").addEventListener("click", end);
  get("call-devices").addEventListener("click", () => preview.ask({ title: "Devices", who: "", isInCall: true }));
  get("call-sound").addEventListener("change", ({ target }) => pictures.silence(target.checked));
  get("stage-hear").addEventListener("click", ({ currentTarget }) => {
    currentTarget.hidden = true;
    pictures.hear();
  });
  view.keys({ m: pressMicrophone, v: pressCamera });
  view.whenLinesOpen(lines.open);
  room.invites(get("alone-copy"), get("alone").querySelector("a"));

  client.on("left", end);
  client.on("grants_changed", ({ grants }) => {
    if (!call) return;
    const may = grants.includes("signal");
    news.textContent = may ? "You may speak and be seen." : "An admin lets you listen only: nobody hears or sees you.";
  });
  client.on("peers", markAbsent);
  client.on("disconnected", () => call && (news.textContent = LOST));
  client.on("connected", () => news.textContent === LOST && (news.textContent = ""));
  client.on("error", (error) => call && (news.textContent = error.detail));
  // Whoever closes the tab is seen to go at once, not when the path has died.
  addEventListener("pagehide", () => {
    for (const { peerId, session, id, remoteId } of connections()) {
      // Words alone: closing what is torn down anyway takes longer than there is time.
      const bye = { reason: "closed", from_connection: id, to_connection: remoteId };
      client.signal(peerId, bye, { type: "bye", session: session ?? undefined }).catch(() => {});
    }
  });
  addEventListener("pageshow", ({ persisted }) => persisted && end());

  return { begin, isOn: () => call !== null };
}

function listed(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
