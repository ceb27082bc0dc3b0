// The event console: what went in and out, to filter, pause, open, copy and send again.

import { copy } from "./copying.js";
import { parseExactly } from "./exact-numbers.js";
import { linesForReceived, linesForSent } from "./same-in-code.js";

const KEPT = 500;
const SHOWN = 150;
const DRAW_MS = 250;
const FILTER_MS = 120;
const PREVIEW = 160;
// What the page itself needs to stay live would bury what one is looking for.
const OWN = new Set(["watch", "room_changed", "state", "states_changed"]);
// There are twenty of these a second: they are kept only while they are looked at.
const FLEETING = new Set(["state", "states_changed"]);
const ARROWS = { in: ["←", "received"], out: ["→", "sent"], note: ["•", "note"], http: ["→", "sent over HTTP"] };

/** Make the console work; returns the function that adds an entry to it. */
export function startConsole({ client }) {
  const list = document.getElementById("events");
  const filter = document.getElementById("events-filter");
  const direction = document.getElementById("events-direction");
  const ownToo = document.getElementById("events-own");
  const pause = document.getElementById("events-pause");
  const news = document.getElementById("events-news");
  const empty = document.getElementById("events-empty");
  let entries = [];
  // What is not drawn yet, and, while paused, not among the entries either.
  let fresh = [];
  let paused = false;
  let filtering = null;
  let drawing = null;
  // Who leaves is in no room any more when that is sent.
  let lastRoom = null;
  client?.on("joined", ({ room_name }) => (lastRoom = room_name));

  const matches = (item) => {
    if (!ownToo.checked && OWN.has(item.name)) return false;
    if (direction.value && direction.value !== item.direction.replace("http", "out")) return false;
    const wanted = filter.value.trim().toLowerCase();
    if (!wanted) return true;
    item.haystack ??= `${item.name}\n${item.text}`.toLowerCase();
    return item.haystack.includes(wanted);
  };

  /** Let the oldest go, beyond what is kept; never while paused, when somebody reads. */
  function keep() {
    if (entries.length > KEPT) entries = entries.slice(-KEPT);
  }

  /** Return the row of an entry, always the same one, so that what was opened in it stays open. */
  const rowOf = (item) => (item.row ??= row(item));

  /** Take the oldest rows away, but none that somebody has opened. */
  function trim() {
    let extra = list.children.length - SHOWN;
    for (const element of [...list.children]) {
      if (extra <= 0) return;
      if (element.firstElementChild.open) continue;
      element.remove();
      extra -= 1;
    }
  }

  function add(item) {
    if (!ownToo.checked && FLEETING.has(item.name)) return;
    // Who one was when it happened, for the lines that repeat it.
    const left = /^leave(_room)?$/.test(item.name) ? lastRoom : null;
    item.me = { roomName: client?.roomName ?? item.roomName ?? left, peerId: client?.peerId ?? "" };
    if (!paused) entries.push(item);
    keep();
    fresh.push(item);
    if (fresh.length > KEPT) fresh = fresh.slice(-KEPT);
    drawing ??= setTimeout(draw, DRAW_MS);
  }

  function draw() {
    drawing = null;
    const waiting = fresh.filter(matches);
    if (paused) {
      if (waiting.length) news.textContent = `Paused; ${waiting.length} new.`;
      return;
    }
    fresh = [];
    if (!waiting.length) return;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    list.append(...waiting.slice(-SHOWN).map(rowOf));
    trim();
    empty.hidden = true;
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  function redraw() {
    if (!paused) fresh = [];
    const shown = entries.filter(matches);
    const opened = shown.slice(0, -SHOWN).filter((item) => item.row?.firstElementChild.open);
    list.replaceChildren(...[...opened, ...shown.slice(-SHOWN)].map(rowOf));
    list.scrollTop = list.scrollHeight;
    empty.hidden = shown.length > 0;
    empty.textContent = entries.length ? "No event matches." : "No events yet.";
  }

  for (const control of [direction, ownToo]) control.addEventListener("input", redraw);
  // Not with every key: whoever types is not to wait for rows.
  filter.addEventListener("input", () => {
    clearTimeout(filtering);
    filtering = setTimeout(redraw, FILTER_MS);
  });

  pause.addEventListener("click", () => {
    if (!paused) draw();
    paused = !paused;
    pause.setAttribute("aria-pressed", paused);
    pause.textContent = paused ? "Resume" : "Pause";
    news.textContent = paused ? "Paused." : "";
    if (paused) return void draw();
    entries.push(...fresh);
    keep();
    draw();
  });

  document.getElementById("events-clear").addEventListener("click", () => {
    entries = [];
    fresh = [];
    redraw();
  });

  document.getElementById("events-copy").addEventListener("click", (event) => {
    copy(JSON.stringify(entries.filter(matches).map(asJson), null, 2), event.currentTarget);
  });

  startSending(client, news);
  return add;
}

function asJson({ at, direction, name, isAck, text }) {
  const event = { at: at.toISOString(), direction, event: name };
  if (isAck) event.ack = true;
  return { ...event, args: JSON.parse(text) };
}

/** Return the row of an entry; what is inside is made when it is opened. */
function row(item) {
  const [arrow, spoken] = ARROWS[item.direction];
  const summary = make("summary", "event-line");
  summary.append(
    make("time", "event-time", clock(item.at)),
    make("span", "event-arrow", arrow),
    make("span", "hidden-label", spoken),
    make("span", "event-name", item.isAck ? `${item.name} · ack` : item.name),
    make("span", "event-preview", preview(item.text)),
  );
  const details = make("details");
  details.append(summary);
  details.addEventListener("toggle", () => details.open && fill(details, item), { once: true });
  const element = make("li", `event ${item.direction}`);
  element.append(details);
  return element;
}

function fill(details, item) {
  if (details.querySelector("pre")) return;
  const value = asJson(item);
  const args = value.args.length === 1 ? value.args[0] : value.args;
  const body = make("div", "event-body");
  const pre = make("pre", "", JSON.stringify(args, null, 2));
  pre.tabIndex = 0;
  body.append(pre);
  const lines = item.lines ?? linesFor(item, value.args);
  for (const { label, code } of lines) {
    const line = make("div", "event-code");
    line.append(make("span", "badge", label), make("code", "", code), copyButton(code, `Copy the ${label} line`));
    body.append(line);
  }
  body.append(copyButton(JSON.stringify(value, null, 2), "Copy as JSON"));
  details.append(body);
}

function linesFor(item, args) {
  if (item.direction === "out" && !item.isAck) return linesForSent(item.name, args, item.me);
  if (item.direction === "in" && !item.isAck) return linesForReceived(item.name);
  return [];
}

/** Make the form that sends any event work. */
function startSending(client, news) {
  const form = document.getElementById("send-form");
  const name = document.getElementById("send-name");
  const data = document.getElementById("send-data");
  const problem = document.getElementById("send-problem");
  document.getElementById("send-button").disabled = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    problem.textContent = "";
    data.removeAttribute("aria-invalid");
    let value;
    try {
      value = data.value.trim() ? parseExactly(data.value) : {};
    } catch (error) {
      problem.textContent = error instanceof SyntaxError ? `This is not JSON yet: ${error.message}` : error.message;
      data.setAttribute("aria-invalid", "true");
      data.focus();
      return;
    }
    if (!client.socket?.connected) {
      problem.textContent = "There is no connection just now. Send it again when it is back.";
      return;
    }
    const answered = (answer) => {
      news.textContent = answer?.ok ? `${name.value} was accepted.` : "";
      problem.textContent = answer?.ok ? "" : (answer?.detail ?? "");
    };
    send(client, name.value.trim(), value, answered);
  });
}

function send(client, name, value, answered) {
  const { room_name, peer_id, username, user_data } = value ?? {};
  if (/^join(_room)?$/.test(name) && room_name && peer_id && username) {
    // The client takes a join that it did not ask for as one of before a loss, and undoes it.
    client
      .join(room_name, { peerId: peer_id, username, userData: user_data })
      .then(answered, ({ detail }) => answered({ ok: false, detail }));
  } else {
    client.socket.emit(name, value, answered);
  }
}

function copyButton(text, label) {
  const button = make("button", "quiet small", label);
  button.type = "button";
  button.addEventListener("click", () => copy(text, button));
  return button;
}

function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

function preview(text) {
  const inner = text.slice(1, PREVIEW);
  return text.length > PREVIEW ? `${inner}…` : inner.slice(0, -1);
}

function clock(at) {
  return `${at.toTimeString().slice(0, 8)}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}
