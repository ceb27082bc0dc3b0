// The event console: what went in and out, to filter, pause, open, copy and keep as a file.

import { startSending } from "./console-sending.js";
import { copy } from "./copying.js";
import { digest, digestChange, withoutSecrets } from "./event-words.js";
import { linesForReceived, linesForSent } from "./same-in-code.js";

const KEPT = 500;
const SHOWN = 150;
const DRAW_MS = 250;
const FILTER_MS = 120;
// What the page itself needs to stay live would bury what one is looking for.
const OWN = new Set(["watch", "room_changed", "state", "states_changed"]);
// There are twenty of these a second: they are kept only while they are looked at.
const FLEETING = new Set(["state", "states_changed"]);
const ARROWS = { in: ["←", "received"], out: ["→", "sent"], note: ["•", "note"], http: ["→", "sent over HTTP"] };

/** Make the console work; returns the function that adds an entry to it. */
export function startConsole({ client, name: room }) {
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
    item.haystack ??= `${item.name}\n${item.text}\n${item.answer?.text ?? ""}`.toLowerCase();
    return item.haystack.includes(wanted);
  };

  /** Let the oldest go, beyond what is kept; never while paused, when somebody reads. */
  function keep() {
    if (entries.length > KEPT) entries = entries.slice(-KEPT);
  }

  /** Return the row of an entry, always the same one, so that what was opened in it stays open. */
  const rowOf = (item) => (item.element ??= row(item, nameOf));
  const nameOf = (id) => client?.peers.find((peer) => peer.peer_id === id)?.username ?? id;

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
    // Of a change of the list now, while the list is as it was.
    item.line = client ? digestChange(item, client.peers) : null;
    item.text = withoutSecrets(item.text);
    if (item.request) return answered(item.request, item);
    // Who one was when it happened, for the lines that repeat it.
    const left = /^leave(_room)?$/.test(item.name) ? lastRoom : null;
    item.me = { room, roomName: client?.roomName ?? item.roomName ?? left, peerId: client?.peerId ?? "" };
    if (!paused) entries.push(item);
    keep();
    fresh.push(item);
    if (fresh.length > KEPT) fresh = fresh.slice(-KEPT);
    drawing ??= setTimeout(draw, DRAW_MS);
  }

  /** Put an answer into the row of what it answers, with the time that it took. */
  function answered(request, item) {
    request.answer = item;
    request.haystack = undefined;
    if (request.row) showAnswer(request);
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
    const opened = shown.slice(0, -SHOWN).filter((item) => item.row?.open);
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
    copy(asLines(), event.currentTarget);
  });
  document.getElementById("events-save").addEventListener("click", () => {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([asLines()], { type: "application/jsonl" }));
    link.download = "events.jsonl";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  });

  /** Return what is shown, or would be if there were no end of rows, as JSON lines. */
  const asLines = () => entries.filter(matches).map((item) => `${JSON.stringify(asJson(item))}\n`).join("");

  startSending(client, news);
  return add;
}

function asJson({ at, direction, name, isAck, text, answer }) {
  const event = { at: at.toISOString(), direction, event: name };
  if (isAck) event.ack = true;
  event.args = JSON.parse(text);
  if (answer) Object.assign(event, { answer: JSON.parse(answer.text)[0], ms: answer.at - at });
  return event;
}

/** Return the row of an entry; what is inside is made when it is opened. */
function row(item, nameOf) {
  const [arrow, spoken] = ARROWS[item.direction];
  const summary = make("summary", "event-line");
  const { who, what } = item.line ?? digest(item.text, item.me, nameOf);
  const line = make("span", "event-preview");
  if (who) line.append(make("bdi", "event-who", who), " ");
  line.append(what);
  summary.append(
    make("time", "event-time", clock(item.at)),
    make("span", "event-arrow", arrow),
    make("span", "hidden-label", spoken),
    make("span", "event-name", item.isAck ? `${item.name} · ack` : item.name),
    line,
    make("span", "event-answer"),
  );
  const element = make("li", `event ${item.direction}`);
  // A note says all that there is of it.
  if (item.direction === "note") {
    const whole = make("div", "event-line");
    whole.append(...summary.childNodes);
    element.append(whole);
    return element;
  }
  const details = make("details");
  details.append(summary);
  item.row = details;
  if (item.answer) showAnswer(item);
  details.addEventListener("toggle", () => details.open && fill(details, item), { once: true });
  element.append(details);
  return element;
}

/** Say at the end of a row what its request was answered, and how soon. */
function showAnswer({ at, answer, row }) {
  const [value] = JSON.parse(answer.text);
  const isRefused = value?.ok === false;
  const words = row.querySelector(".event-answer");
  words.textContent = `${isRefused ? value.code : "ok"} · ${answer.at - at} ms`;
  words.classList.toggle("refused", isRefused);
  const body = row.querySelector(".event-body");
  if (body && !body.querySelector(".answer")) body.firstElementChild.after(...answerOf(answer));
}

function answerOf({ text }) {
  return [make("p", "faint", "Answer"), shown(JSON.parse(text)[0], "answer")];
}

function shown(value, className = "") {
  const pre = make("pre", className, JSON.stringify(value, null, 2));
  pre.tabIndex = 0;
  return pre;
}

function fill(details, item) {
  if (details.querySelector("pre")) return;
  const value = asJson(item);
  const body = make("div", "event-body");
  body.append(shown(value.args.length === 1 ? value.args[0] : value.args));
  if (item.answer) body.append(...answerOf(item.answer));
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

function clock(at) {
  return `${at.toTimeString().slice(0, 8)}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}
