// The admin's page: its buttons ask the API with the visitor's own token, after one question.

import { copy } from "./copying.js";
import { headers, isReady, pass } from "./pass.js";
import { base, server } from "./server.js";
import "./times.js";

const FRESH_MS = 5000;

const get = (id) => document.getElementById(id);
const of = (room) => `/rooms/${encodeURIComponent(room)}`;
const peerOf = (room, peer) => `${of(room)}/peers/${encodeURIComponent(peer)}`;

// What each button asks, does and can take back.
const ACTS = {
  kick: { ask: (room, peer) => `Put “${peer}” out of “${room}”? They may come back.`, done: "was put out.", path: (room, peer) => `${peerOf(room, peer)}/kick` },
  ban: { ask: (room, peer) => `Ban “${peer}” from “${room}”?`, done: "is banned.", undo: "unban", path: (room, peer) => `${peerOf(room, peer)}/ban` },
  unban: { done: "may come back.", path: (room, peer) => `${peerOf(room, peer)}/unban` },
  close: { ask: (room) => `Close “${room}”? Everybody is put out, and nobody may join.`, done: "is closed.", undo: "reopen", path: (room) => `${of(room)}/close` },
  reopen: { done: "is open again.", path: (room) => `${of(room)}/reopen` },
  erase: { ask: (room, peer) => `Erase “${peer}” from “${room}”, with their data and files? This cannot be undone.`, done: "was erased.", method: "DELETE", path: peerOf },
  remove: { ask: (room) => `Remove “${room}”, with everybody’s data and files? This cannot be undone.`, done: "was removed.", method: "DELETE", path: of },
};

const load = () => document.body.dispatchEvent(new CustomEvent("admin-load"));

async function ask(path, { method = "POST", body } = {}) {
  const response = await fetch(`${base}/api/webrtc${path}`, {
    method,
    headers: { ...headers(), ...(body && { "Content-Type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  const answer = read(await response.text());
  if (!response.ok) throw new Error(answer?.detail ?? `The server is not reached just now: something before it answered ${response.status}. Try again in a moment.`);
  return answer;
}

/** Return what an answer says as JSON; null for what no server of ours says, such as a proxy's page. */
function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Ask the visitor once; resolves with whether they mean it. */
function meant(words) {
  const dialog = get("ask");
  get("ask-words").textContent = words;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

async function perform(name, room, peer) {
  const act = ACTS[name];
  if (act.ask && !(await meant(act.ask(room, peer)))) return;
  try {
    await ask(act.path(room, peer), { method: act.method });
    say(`“${peer || room}” ${act.done}`, act.undo && (() => perform(act.undo, room, peer)));
  } catch (error) {
    say(wordsOf(error));
  }
  load();
}

/** Return what to say of an error: a browser's own words for a lost network help nobody. */
function wordsOf(error) {
  return error instanceof TypeError ? "The server does not answer. Try again when it does." : error.message;
}

/** Tell what was done, with a button that takes it back if there is a way. */
function say(words, undo) {
  const news = get("news");
  news.textContent = words;
  if (!undo) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small";
  button.textContent = "Undo";
  button.addEventListener("click", undo);
  news.append(" ", button);
}

get("admin").addEventListener("click", ({ target }) => {
  const { act, room, peer } = target.closest("[data-act]")?.dataset ?? {};
  if (act) perform(act, room, peer);
});

get("admin").addEventListener("click", (event) => {
  const { sort } = event.target.closest("[data-sort]")?.dataset ?? {};
  if (sort === undefined || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  get("sort").value = sort;
  keep("sort", sort);
  load();
});

/** Keep in the address what is shown, so that it is the same after a reload. */
function keep(name, value) {
  const address = new URL(location.href);
  if (value) address.searchParams.set(name, value);
  else address.searchParams.delete(name);
  history.replaceState(history.state, "", address);
}

document.addEventListener("htmx:after:request", ({ detail }) => {
  const { response, text } = detail.ctx;
  // Of an outage nothing is said here: what was there stays, and is asked for again.
  const problem = response.status >= 400 && response.status < 500 ? (read(text)?.detail ?? "") : "";
  get("shut").hidden = !problem;
  get("shut").textContent = problem;
  get("admin").hidden = Boolean(problem);
});

get("search").addEventListener("input", () => {
  keep("search", get("search").value.trim());
  load();
});

// A token ends no later than the one that makes it.
const left = pass.expires ? Math.floor((pass.expires - Date.now()) / 60_000) : Infinity;
if (get("mint-ttl") && left < 60) get("mint-ttl").value = Math.max(1, left);

get("mint-form")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  get("mint-problem").textContent = "";
  get("mint-made").hidden = true;
  const room = get("mint-room").value.trim();
  const grants = [...document.querySelectorAll("[name=grant]:checked")].map(({ value }) => value);
  const body = { peer_id: get("mint-peer").value.trim(), room, grants, ttl: get("mint-ttl").value * 60 };
  try {
    const { token } = await ask("/tokens", { body });
    const where = room.includes("*") ? "/" : of(room);
    get("mint-link").value = `${server}${where}#token=${token}`;
    get("mint-made").hidden = false;
    get("mint-copy").focus();
  } catch (error) {
    get("mint-problem").textContent = wordsOf(error);
  }
});
get("mint-copy")?.addEventListener("click", ({ currentTarget }) => copy(get("mint-link").value, currentTarget));

if (isReady) {
  // In a turn of its own, as HTMX begins: it listens by then.
  setTimeout(load);
  setInterval(() => document.hidden || load(), FRESH_MS);
}
