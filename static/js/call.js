// What a room's page has of calls while one is in none: the ways in, and who calls. The call itself is
// loaded when somebody wants one.

import { everyone } from "../client/index.js";

// In which call this tab is: whoever loads a page anew wants to go on with what it showed.
const KEY = "presence-call";

/** Make the call card work; `room.call(how)` joins the call, and `room.isCalling()` tells whether one is in it. */
export function startCall(room) {
  const { client } = room;
  const get = (id) => document.getElementById(id);
  const [button, check, news, banner] = ["call-button", "call-check", "call-news", "call-banner"].map(get);
  const usualTitle = document.title;
  // Who offered us a connection while we were in no call.
  const calling = new Set();
  // The call in which this tab was when it was loaded anew.
  let kept = isReloaded() ? recall(room.name) : null;
  // Who went elsewhere in between has left it, and is not put back by a later reload.
  if (!kept) remember(null);
  let loading = null;
  let stage = null;

  const nameOf = (peerId) => client.peers.find((peer) => peer.peer_id === peerId)?.username ?? peerId;

  Object.assign(room, {
    everyone,
    nameOf,
    say: (words) => (news.textContent = words),
    isCalling: () => stage?.isOn() ?? false,
    /** The stage tells that a call began, with what is sent in it, or that it ended, with null. */
    calling(choice) {
      if (choice) calling.clear();
      remember(choice && { room: room.name, choice });
      button.textContent = choice ? "Back to the call" : "Join the call";
      check.hidden = choice !== null;
      invite();
    },
    async call(how = {}) {
      try {
        loading ??= load();
        stage = await loading;
      } catch {
        loading = null;
        room.say("This part of the page could not be loaded just now. Try again.");
        return;
      }
      await stage.begin(how);
    },
  });

  async function load() {
    const template = get("call-template");
    const { script, style, icons } = template.dataset;
    const [made] = await Promise.all([import(script), loadStyle(style)]);
    document.body.append(template.content.cloneNode(true));
    return made.default.startStage(room, icons);
  }

  /** Say who calls where it is seen: in a banner at the top, and in the title of the tab. */
  function invite() {
    const names = room.isCalling() ? [] : [...calling].map(nameOf);
    const words = names.length ? `A call is going on with ${names.join(", ")}.` : "";
    banner.hidden = !words;
    if (get("call-banner-words").textContent !== words) get("call-banner-words").textContent = words;
    document.title = words ? `${names[0]} calls · ${usualTitle}` : usualTitle;
  }

  button.addEventListener("click", () => room.call());
  check.addEventListener("click", () => room.call({ check: true }));
  get("call-banner-join").addEventListener("click", () => room.call());

  client.on("signal", ({ from, type }) => {
    if (room.isCalling() || (type !== "offer" && type !== "bye")) return;
    if (type === "offer") calling.add(from);
    else calling.delete(from);
    invite();
  });
  client.on("peer_left", ({ peer_id }) => calling.delete(peer_id) && invite());
  client.on("left", () => {
    calling.clear();
    invite();
  });
  client.on("joined", (body) => {
    if (kept && body.room_name === room.name) room.call({ choice: kept.choice, again: true });
    kept = null;
  });
}

/** Tell whether somebody had this page loaded anew, as opposed to having come to it. */
function isReloaded() {
  return performance.getEntriesByType("navigation")[0]?.type === "reload";
}

function loadStyle(address) {
  return new Promise((resolve, reject) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = address;
    link.addEventListener("load", resolve);
    link.addEventListener("error", () => {
      link.remove();
      reject(new Error(address));
    });
    document.head.append(link);
  });
}

function remember(call) {
  if (call) sessionStorage.setItem(KEY, JSON.stringify(call));
  else sessionStorage.removeItem(KEY);
}

function recall(roomName) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY));
    return kept?.room === roomName ? kept : null;
  } catch {
    return null;
  }
}
