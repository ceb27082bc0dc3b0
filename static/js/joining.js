// Joining, leaving and coming back: the form, what it remembers, and what it says.

import { parseExactly } from "./exact-numbers.js";
import { isSecond } from "./invite.js";
import { isAboutToken, isReady, pass } from "./pass.js";

const AGAIN_MS = 1000;

const REASONS = {
  left: "You have left. Your data and files stay.",
  left_over_rest: "Your presence was ended over REST.",
  kicked: "An admin has put you out. You may come back.",
  banned: "An admin has banned you from this room.",
  room_closed: "An admin has closed this room.",
  erased: "You were erased from this room, with your data and files.",
};
// One's own doing is no news, and that the room is closed stands above the form.
const QUIET = new Set(["left", "room_closed"]);

// What keeps a join from being answered, but says nothing against it.
const UNANSWERED = new Set(["unreachable", "connection_lost", "timeout"]);

const PASSWORD = "This room has a password. Ask whoever invited you for it.";
// What a room says that has a password.
const ASKING = new Set(["password_wanted", "wrong_password"]);

/** Make the join form and the leave button of the page work. */
export function startJoining(room) {
  const { client, name: roomName, changed } = room;
  const form = document.getElementById("join-form");
  const button = document.getElementById("join-button");
  const callButton = document.getElementById("join-call");
  const username = document.getElementById("username");
  const peerId = document.getElementById("peer-id");
  const firstData = document.getElementById("first-data");
  const problem = document.getElementById("join-problem");
  const news = document.getElementById("you-news");
  const password = document.getElementById("room-password");
  const fields = { username, peer_id: peerId, user_data: firstData, password };
  const memory = remembered();
  let failure = null;
  // Whether to join as soon as there is a connection: the server did not answer when it was asked.
  let isDue = false;
  // How to begin a call once one is in, if at all.
  let calls = null;

  // A token is for one peer, unless it is an admin's.
  const isFixed = pass.peerId !== null && !pass.isAdmin;
  const ownName = !isFixed || memory.peerId === pass.peerId ? memory.tabName : "";
  // Whoever types faster than the page loads keeps what they typed.
  const wasEmpty = !username.value;
  username.value ||= ownName || pass.name || memory.username || (pass.peerId ?? "");
  if (wasEmpty && isFixed && !ownName && !pass.name) offerKnownName(username, pass.peerId);
  peerId.value ||= memory.peerId;
  if (isFixed) {
    peerId.value = memory.peerId = pass.peerId;
    peerId.readOnly = true;
  }

  function say(error) {
    for (const [name, field] of Object.entries(fields)) {
      field.toggleAttribute("aria-invalid", false);
      if (error?.body?.field?.startsWith(name) || (field === password && ASKING.has(error?.code))) {
        field.setAttribute("aria-invalid", "true");
        field.closest("details")?.setAttribute("open", "");
        field.focus();
      }
    }
    problem.textContent = error?.detail ?? "";
  }

  /** Show the field of the password, once the room has asked for one. */
  function wantPassword() {
    password.closest("div").hidden = false;
    password.required = true;
  }

  /** Say something of being in the room; what somebody else has decided is shown as the news it is. */
  function tell(words, { isSeen = true, isNotice = false } = {}) {
    news.textContent = words;
    news.className = isNotice ? "notice" : "hint";
    news.classList.toggle("hidden-label", !isSeen);
  }

  async function join() {
    say(null);
    isDue = false;
    let userData = {};
    try {
      userData = firstData.value.trim() ? parseExactly(firstData.value) : {};
    } catch (error) {
      const detail = error instanceof SyntaxError ? `user_data is not JSON: ${error.message}` : error.message;
      say({ detail, body: { field: "user_data" } });
      return;
    }
    button.disabled = callButton.disabled = true;
    button.textContent = "Joining…";
    try {
      await client.join(roomName, {
        peerId: peerId.value.trim() || memory.peerId,
        username: username.value.trim(),
        userData,
        password: password.value || undefined,
      });
      firstData.value = "";
      if (calls) room.call(calls);
    } catch (error) {
      if (UNANSWERED.has(error.code)) {
        wait();
        return;
      }
      if (ASKING.has(error.code)) wantPassword();
      tell("");
      // The server's own words are for programs: here is a field.
      say(error.code === "password_wanted" ? { ...error, code: error.code, detail: PASSWORD } : error);
      if (!isAboutToken(error.code)) forget(roomName);
    } finally {
      button.disabled = callButton.disabled = false;
      button.textContent = memory.beenHere ? "Rejoin" : "Join";
    }
  }

  /** Nobody answered: join when somebody does, unless what was typed is sent again before. */
  function wait() {
    isDue = true;
    tell("The server does not answer. You will be in the room as soon as it does.");
    if (client.connected) setTimeout(() => isDue && join(), AGAIN_MS);
  }

  client.on("connected", () => isDue && join());

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    calls = event.submitter === callButton ? {} : null;
    join();
  });

  document.getElementById("leave-button").addEventListener("click", async () => {
    try {
      await client.leave();
    } catch (error) {
      tell(error.detail);
    }
  });

  client.on("joined", (body, { rejoined }) => {
    if (body.room_name !== roomName) {
      tell(`This page’s connection is now in “${body.room_name}”, not here.`);
      return;
    }
    const own = body.peers.find((peer) => peer.peer_id === body.peer_id);
    memory.beenHere = true;
    remember(roomName, body.peer_id, own?.username ?? client.username, calls?.second);
    peerId.value = body.peer_id;
    document.querySelector("[data-my-name]").textContent = own?.username ?? client.username;
    document.querySelector("[data-my-id]").textContent = body.peer_id;
    document.getElementById("me").value = body.peer_id;
    // A focus inside what is about to disappear would be lost.
    const hadFocus = form.contains(document.activeElement);
    showJoined(true);
    if (hadFocus) document.getElementById("own-data-line").focus();
    // That one is in is seen anyhow; who listens is told.
    tell(rejoined ? "The connection is back, and so are you." : "You are in the room.", { isSeen: rejoined });
    changed();
  });

  client.on("waiting", () => {
    tell("You wait to be let in. Somebody in the room will see to it.");
    button.textContent = "Waiting…";
  });

  client.on("left", (body) => {
    document.getElementById("me").value = "";
    const hadFocus = document.querySelector(".you-here").contains(document.activeElement);
    showJoined(false);
    button.textContent = "Rejoin";
    if (hadFocus) button.focus();
    // With a fresh token one is back without being asked.
    if (!isAboutToken(body.reason)) forget(roomName);
    const refusal = failure?.code === body.reason ? failure.detail : "";
    tell(REASONS[body.reason] ?? `You are no longer in the room. ${refusal}`, { isNotice: !QUIET.has(body.reason) });
    changed();
  });

  client.on("error", (error) => {
    failure = error;
    // Who is in has nothing to come back to.
    if (client.state !== "joined") tell(`Coming back failed: ${error.detail}`);
  });

  // Until here, the browser would have sent the form by itself.
  button.disabled = callButton.disabled = false;
  if (isReady && memory.rooms.includes(roomName)) join();
  else if (isReady && isSecond(roomName)) {
    username.value = "Guest";
    calls = { second: true };
    join();
  }
}

/** Put in the name by which the room knows a peer, once the page shows who is or was there. */
function offerKnownName(username, peerId) {
  const people = document.getElementById("people");
  const offered = username.value;
  const shown = new MutationObserver(() => {
    shown.disconnect();
    const own = [...people.querySelectorAll(".id bdi")].find((id) => id.textContent === peerId);
    if (own && username.value === offered) {
      username.value = own.closest(".person").querySelector(".name bdi").textContent;
    }
  });
  shown.observe(people, { childList: true, subtree: true });
}

function showJoined(joined) {
  for (const element of document.querySelectorAll("[data-joined-only]")) element.hidden = !joined;
  for (const element of document.querySelectorAll("[data-outside-only]")) element.hidden = joined;
}

// Who one is stays with the tab, so that two tabs are two people; the name is the browser's.
function remembered() {
  const kept = readJson(sessionStorage, "presence") ?? {};
  return {
    peerId: kept.peerId ?? newPeerId(),
    tabName: kept.username ?? "",
    username: kept.username ?? localStorage.getItem("presence-username") ?? "",
    rooms: kept.rooms ?? [],
    beenHere: false,
  };
}

function remember(roomName, peerId, username, isPassing) {
  const { rooms } = remembered();
  const kept = { peerId, username, rooms: [...new Set([...rooms, roomName])] };
  sessionStorage.setItem("presence", JSON.stringify(kept));
  if (!isPassing) localStorage.setItem("presence-username", username);
}

function forget(roomName) {
  const kept = remembered();
  kept.rooms = kept.rooms.filter((name) => name !== roomName);
  sessionStorage.setItem("presence", JSON.stringify(kept));
}

function readJson(storage, key) {
  try {
    return JSON.parse(storage.getItem(key));
  } catch {
    return null;
  }
}

function newPeerId() {
  const letters = crypto.getRandomValues(new Uint8Array(6));
  return `peer-${[...letters].map((value) => (value % 36).toString(36)).join("")}`;
}
