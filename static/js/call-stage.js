// The call itself: with everyone in the room, through the client's own `call`, on a stage that takes the page.

import { startAwake } from "./call-awake.js";
import { startChat } from "./call-chat.js";
import { ownDevices, rememberedChoice } from "./call-devices.js";
import { startLines } from "./call-lines.js";
import { startOthers } from "./call-others.js";
import { startPreview } from "./call-preview.js";
import { shareScreen } from "./call-screen.js";
import { startSpeaker } from "./call-speaker.js";
import { OWN, startSpeaking } from "./call-speaking.js";
import { tiles } from "./call-tiles.js";
import { startView } from "./call-view.js";

// Everybody sends to everybody: beyond this, upload bandwidth gives out long before the browser.
const MOST = 12;
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
  const awake = startAwake();
  const chat = startChat(connections, () => view.wrote());
  const own = ownDevices(() => client.username, changed);
  const preview = startPreview(own, startSpeaker(pictures.hearOn));
  const screen = shareScreen(changed);
  const isAway = (peerId) => people.isAway(peerId);
  const lines = startLines({ connections, own: () => client.peerId, nameOf, isAway });
  const say = (words) => (news.textContent = words);
  const people = startOthers({ client, nameOf, connections, pictures, lines, say, changed: count });
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

  const maySend = () => client.grants?.includes("signal") ?? true;
  const others = () => client.activePeers.filter(({ peer_id }) => peer_id !== client.peerId);

  /**
   * Join the call. Where somebody would see it, one looks at oneself before; `check` asks for that anyway,
   * `again` does without, as after a reload. `choice` are the devices, and whether the microphone is muted.
   */
  async function begin({ check = false, again = false, second = false, choice } = {}) {
    if (call) return view.open();
    if (isBeginning || client.roomName === null) return;
    if (others().length >= MOST) {
      const many = others().length + 1;
      room.say(`${many} people are here. In a mesh everybody sends to everybody, so it takes ${MOST} at most.`);
      return;
    }
    isBeginning = true;
    try {
      const isFree = again || second;
      const asked = check || (others().length > 0 && !isFree) ? ask() : null;
      room.say(asked ? "" : "Opening camera and microphone…");
      const opening = own.open(choice ?? (second ? QUIET : rememberedChoice()));
      if (!asked) await opening;
      // Somebody may have come while the browser asked.
      const how = await (asked ?? (own.problem || (others().length > 0 && !isFree) ? ask() : "join"));
      room.say("");
      if (how === null || client.roomName === null) return own.close();
      if (own.choice.camera !== "none") camera = own.choice.camera;
      if (how === "blind") await own.use("camera", "none");
      join(choice?.isMuted === true);
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
    call.on("connection", (connection) => {
      people.follow(connection);
      connection.on("message", (message) => hear(connection, message));
    });
    news.textContent = maySend() ? "" : "You may listen only: nobody hears or sees you.";
    mute(muted);
    view.open();
    awake.begin();
    speaking.start();
    changed();
  }

  /** End the call, if one is on; `words` say why where the room does not. */
  function end(words = "") {
    preview.close();
    if (!call) return;
    const { activeElement } = document;
    const hadFocus = activeElement === document.body || get("stage").contains(activeElement);
    speaking.end();
    screen.end();
    const ended = call;
    call = shared = null;
    problem = "";
    seen = { track: null, stream: null };
    people.clear();
    ended.close();
    own.close();
    pictures.clear();
    chat.clear();
    lines.clear();
    get("stage-hear").hidden = true;
    get("call-sound").checked = false;
    pictures.silence(false);
    view.close();
    awake.end();
    room.calling(null);
    room.say(words);
    if (!hadFocus) return;
    if (button.checkVisibility()) return button.focus();
    // Whoever is put out of the room has no call to go back to, but reads why, and may join it again.
    get("join-button").focus({ preventScroll: true });
    get("you").scrollIntoView({ block: "nearest" });
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
    const shown = { stream: seen.stream, isDark: !video, notes, mirrored };
    pictures.set(OWN, { own: true, name: "You", face: client.username, state: "connected", ...shown });
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
    const here = people.count();
    const outside = others().filter(({ peer_id }) => !people.isIn(peer_id)).map(({ username }) => username);
    const words = [`${here + 1} in the call`];
    if (outside.length) words.push(`${listed(outside)} not in it`);
    get("stage-who").textContent = words.join(" · ");
    get("alone").hidden = here > 0;
    get("alone-words").textContent = outside.length
      ? `${listed(outside)} ${outside.length > 1 ? "are" : "is"} in the room, and told that you call.`
      : "Nobody else is here yet. Invite somebody:";
    lines.show();
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
  get("call-leave").addEventListener("click", () => end("You have left the call."));
  get("call-devices").addEventListener("click", () => preview.ask({ title: "Devices", who: "", isInCall: true }));
  get("call-sound").addEventListener("change", ({ target }) => pictures.silence(target.checked));
  get("stage-hear").addEventListener("click", ({ currentTarget }) => {
    currentTarget.hidden = true;
    pictures.hear();
  });
  view.keys({ m: pressMicrophone, v: pressCamera });
  view.whenLinesOpen(lines.open);
  room.invites(get("alone-copy"), get("alone").querySelector("a"));

  client.on("left", () => end());
  client.on("grants_changed", ({ grants }) => {
    if (!call) return;
    const may = grants.includes("signal");
    news.textContent = may ? "You may speak and be seen." : "An admin lets you listen only: nobody hears or sees you.";
  });
  client.on("peers", () => call && people.look());
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
  addEventListener("pageshow", ({ persisted }) => persisted && end("You have left the call."));

  return { begin, isOn: () => call !== null };
}

function listed(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
