// The call panel: a call with everyone in the room, through the client's own `call`.

import { everyone } from "../client/index.js";
import { startChat } from "./call-chat.js";
import { closeMedia, openMedia } from "./call-media.js";
import { drawMesh, linkInWords } from "./call-mesh.js";
import { tiles } from "./call-tiles.js";

// Everybody sends to everybody: beyond this, upload bandwidth gives out long before the browser.
const MOST = 12;
const LOOK_MS = 2000;
// How long a picture does not move before it counts as one of before.
const STILL_MS = 700;

/** Make the call panel work; `room.call` joins the call, with what is chosen to be sent. */
export function startCall(room) {
  const { client } = room;
  const get = (id) => document.getElementById(id);
  const [form, panel, news, button] = ["call-form", "call-panel", "call-news", "call-button"].map(get);
  const chat = startChat(() => call?.connections ?? []);
  const pictures = tiles(get("tiles"));
  const usualTitle = document.title;
  // Who offered us a connection while we were in no call.
  const calling = new Set();
  // What the others say of the connections among themselves.
  const told = new Map();
  // The last figures of our own connections.
  const figures = new Map();
  let call = null;
  let media = null;
  let timer = null;
  // Whose leaving the news is about.
  let missed = null;
  let absenceTimer = null;
  // Who has gone as far as the server knows, and shows no moving picture either.
  const away = new Set();

  const nameOf = (peerId) => client.peers.find((peer) => peer.peer_id === peerId)?.username ?? peerId;

  async function begin() {
    if (call) return;
    const others = client.activePeers.length - 1;
    if (others >= MOST) {
      news.textContent = `${others + 1} people are here. In a mesh everybody sends to everybody, so it takes ${MOST} at most.`;
      return;
    }
    button.disabled = true;
    news.textContent = "Opening camera and microphone…";
    media = await openMedia(get("call-source").value, client.username);
    button.disabled = false;
    if (client.roomName === null) {
      closeMedia(media.stream);
      return;
    }
    calling.clear();
    call = client.call(everyone, media.stream ?? undefined);
    invite();
    call.on("connection", follow);
    form.hidden = true;
    panel.hidden = false;
    if (media.stream) pictures.add("own", media.stream, "You", { own: true, kind: media.kind });
    get("call-microphone").hidden = get("call-camera").hidden = !media.stream;
    get("call-leave").focus();
    news.textContent = media.note;
    timer = setInterval(look, LOOK_MS);
    show();
  }

  function end() {
    if (!call) return;
    clearInterval(timer);
    clearTimeout(absenceTimer);
    const hadFocus = panel.contains(document.activeElement);
    call.close();
    call = null;
    closeMedia(media?.stream);
    pictures.clear();
    chat.clear();
    told.clear();
    figures.clear();
    away.clear();
    for (const id of ["call-microphone", "call-camera", "call-sound"]) get(id).setAttribute("aria-pressed", "false");
    panel.hidden = true;
    form.hidden = false;
    if (hadFocus && form.checkVisibility()) button.focus();
    news.textContent = "You have left the call.";
  }

  function follow(connection) {
    const { peerId } = connection;
    connection.on("state", ({ state, reason }) => {
      if (state === "connected") {
        look();
        welcome(peerId);
      }
      if (state === "failed" && reason && connection.remoteId) news.textContent = reason;
      show();
    });
    connection.on("stream", (stream) => pictures.add(`${peerId} ${stream.id}`, stream, nameOf(peerId)));
    connection.on("stream_removed", (stream) => pictures.remove(`${peerId} ${stream.id}`));
    connection.on("message", (message) => hear(peerId, message));
    connection.on("closed", () => {
      pictures.removeAll(`${peerId} `);
      told.delete(peerId);
      figures.delete(peerId);
      if (call) {
        missed = peerId;
        news.textContent = `${nameOf(peerId)} is no longer in the call.`;
      }
      show();
    });
    for (const stream of connection.remoteStreams) pictures.add(`${peerId} ${stream.id}`, stream, nameOf(peerId));
    show();
  }

  /** Somebody is back: what was said of their leaving is not true any more. */
  function welcome(peerId) {
    if (missed === peerId) news.textContent = "";
    if (missed === peerId) missed = null;
  }

  /**
   * Say of each picture whether the person is here: the list knows at once, a connection much later.
   * One that moves is of somebody whom only the server has lost, for a moment.
   */
  function markAbsent() {
    clearTimeout(absenceTimer);
    if (!call || client.state !== "joined") return;
    const before = away.size;
    let again = false;
    for (const { peerId } of call.connections) {
      const isHere = client.activePeers.some((peer) => peer.peer_id === peerId);
      const isAway = !isHere && pictures.isStill(`${peerId} `);
      again ||= !isHere;
      if (isAway) away.add(peerId);
      else away.delete(peerId);
      pictures.note(`${peerId} `, isAway ? "away" : "");
    }
    if (away.size !== before) show();
    if (again) absenceTimer = setTimeout(markAbsent, STILL_MS);
  }

  function hear(peerId, message) {
    let body = null;
    try {
      body = JSON.parse(message);
    } catch {
      // A client of another kind; what it says is shown as it is.
    }
    if (body?.presence === "mesh") {
      told.set(peerId, Array.isArray(body.links) ? body.links.slice(0, MOST) : []);
      show();
    } else {
      const text = body?.presence === "chat" ? body.text : message;
      chat.hear(nameOf(peerId), typeof text === "string" ? text : "[binary]");
    }
  }

  /** Measure our connections, and tell the others. */
  async function look() {
    const links = [];
    for (const connection of call?.connections ?? []) {
      const stats = await connection.stats().catch(() => null);
      const { path = null, roundTripTime = null } = stats ?? {};
      figures.set(connection.peerId, { path, roundTripTime });
      links.push({ to: connection.peerId, state: connection.state, path, roundTripTime });
    }
    for (const connection of call?.connections ?? []) {
      if (connection.channel?.readyState === "open") {
        // It is told again soon.
        connection.send(JSON.stringify({ presence: "mesh", links })).catch(() => {});
      }
    }
    show();
  }

  function show() {
    if (!call) return;
    const { connections } = call;
    const own = connections.map((connection) => ({
      from: client.peerId,
      to: connection.peerId,
      state: stateOf(connection),
      path: null,
      roundTripTime: null,
      reason: connection.reason,
      ...figures.get(connection.peerId),
    }));
    const people = [
      { id: client.peerId, name: "You", own: true },
      ...connections.map(({ peerId }) => ({ id: peerId, name: nameOf(peerId), own: false })),
    ];
    drawMesh(get("mesh"), people, [...own, ...others()]);
    get("links").replaceChildren(...(own.length ? own.map(line) : [words("Nobody else is here yet.")]));
  }

  function stateOf({ peerId, state, remoteId }) {
    // Who never answered is not in the call; that is no failure.
    if (state === "failed" && !remoteId) return "absent";
    return state === "connected" && away.has(peerId) ? "recovering" : state;
  }

  /** Return the connections among the others, each once, as those who have it tell. */
  function others() {
    const seen = new Set();
    const links = [];
    for (const [from, list] of told) {
      for (const link of list) {
        const key = JSON.stringify([from, link?.to].sort());
        if (!link || link.to === client.peerId || link.state !== "connected" || seen.has(key)) continue;
        seen.add(key);
        const roundTripTime = Number.isFinite(link.roundTripTime) ? link.roundTripTime : null;
        links.push({ from, to: link.to, state: "connected", path: link.path, roundTripTime });
      }
    }
    return links;
  }

  function line(link) {
    if (link.state === "absent") return words(`${nameOf(link.to)}: not in the call. ${link.reason ?? ""}`);
    const reason = link.state === "failed" && link.reason ? `. ${link.reason}` : "";
    return words(`${nameOf(link.to)}: ${linkInWords(link)}${reason}`, link.state);
  }

  function words(text, kind = "") {
    const element = document.createElement("li");
    element.textContent = text;
    element.className = kind;
    return element;
  }

  room.call = begin;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    begin();
  });
  get("call-leave").addEventListener("click", end);
  client.on("left", () => {
    end();
    calling.clear();
    invite();
  });
  client.on("grants_changed", ({ grants }) => {
    if (!call) return;
    const may = grants.includes("signal");
    news.textContent = may ? "You may speak and be seen." : "An admin lets you listen only: nobody hears or sees you.";
  });

  const press = (id, act) =>
    get(id).addEventListener("click", ({ currentTarget }) => {
      const pressed = currentTarget.getAttribute("aria-pressed") !== "true";
      currentTarget.setAttribute("aria-pressed", pressed);
      act(pressed);
    });
  press("call-microphone", (off) => media?.stream?.getAudioTracks().forEach((track) => (track.enabled = !off)));
  press("call-camera", (off) => media?.stream?.getVideoTracks().forEach((track) => (track.enabled = !off)));
  press("call-sound", (off) => pictures.silence(off));

  client.on("signal", ({ from, type }) => {
    if (call || (type !== "offer" && type !== "bye")) return;
    if (type === "offer") calling.add(from);
    else calling.delete(from);
    invite();
  });
  client.on("peer_left", ({ peer_id }) => calling.delete(peer_id) && !call && invite());
  client.on("peers", markAbsent);
  client.on("error", (error) => call && (news.textContent = error.detail));

  /** Say who calls where it is seen: in a banner at the top, and in the title of the tab. */
  function invite() {
    const names = call ? [] : [...calling].map(nameOf);
    const words = names.length ? `A call is going on with ${names.join(", ")}.` : "";
    get("call-banner").hidden = !words;
    if (get("call-banner-words").textContent !== words) get("call-banner-words").textContent = words;
    document.title = words ? `${names[0]} calls · ${usualTitle}` : usualTitle;
  }

  get("call-banner-join").addEventListener("click", begin);
}
