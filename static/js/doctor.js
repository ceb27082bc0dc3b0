// The doctor: runs its checks one after the other and says what each found.

import { CHECKS, missing } from "./doctor-checks.js";
import { headers, pass } from "./pass.js";
import { base, server } from "./server.js";

const WORDS = {
  running: "Running…",
  ok: "Works",
  attention: "Could be better",
  failed: "Does not work",
  skipped: "Left out",
};

// What a run has made on the server and not taken away yet.
let made = null;

const run = document.getElementById("run");
const copy = document.getElementById("copy-report");
const news = document.getElementById("doctor-news");
const main = document.getElementById("main");

function show(id, state, found = "") {
  const card = document.getElementById(`check-${id}`);
  card.dataset.state = state;
  card.querySelector("[data-verdict]").textContent = WORDS[state];
  card.querySelector("[data-found]").textContent = found;
  card.querySelector("[data-remedy]").hidden = !["failed", "attention"].includes(state);
}

async function runAll() {
  run.disabled = copy.disabled = true;
  news.textContent = "Running the checks…";
  const shared = {
    roomName: main.dataset.room,
    uploadBytes: Number(main.dataset.uploadBytes),
    peerId: pass.peerId ?? `doctor-${crypto.getRandomValues(new Uint32Array(2)).join("")}`,
  };
  made = shared;
  const states = [];
  // Nothing that follows would find the server.
  let isLost = false;
  for (const item of CHECKS) {
    const { id, check } = item;
    show(id, "running");
    let outcome;
    try {
      if (isLost) outcome = { state: "skipped", found: "Mend the address first." };
      outcome ??= missing(item, shared) ?? (await check(shared));
    } catch (error) {
      outcome = { state: "failed", found: error.detail ?? error.message };
    }
    show(id, outcome.state, outcome.found);
    states.push(outcome.state);
    isLost ||= item.isFirst && outcome.state === "failed";
  }
  await tidyUp(shared);
  const failed = states.filter((state) => state === "failed").length;
  const better = states.filter((state) => state === "attention").length;
  const leftOut = states.filter((state) => state === "skipped").length;
  const rest = leftOut ? ` ${leftOut} of ${states.length} checks were left out; each says why.` : "";
  news.textContent =
    failed + better === 0
      ? (leftOut ? "What was tried works." : "Everything works.") + rest
      : `${failed ? `${failed} of ${states.length} checks failed` : "Nothing failed"}${better ? `, and ${better} could be better` : ""}. What it means, and the fix, stands below.${rest}`;
  run.disabled = copy.disabled = false;
  run.textContent = "Run again";
}

async function tidyUp({ roomName, peerId, joined }, isLeaving = false) {
  made = null;
  if (!joined) return;
  const room = encodeURIComponent(roomName);
  const erased = remove(`${base}/api/webrtc/rooms/${room}/peers/${encodeURIComponent(peerId)}`);
  // Who leaves the page waits for no answer.
  if (!isLeaving) await erased;
  await remove(`${base}/doctor/rooms/${room}`);
}

async function remove(path) {
  // A page that is being closed can still send what is marked so.
  await fetch(path, { method: "DELETE", headers: headers(), keepalive: true }).catch(() => {});
}

function report() {
  const lines = [`Presence doctor, ${server}, ${new Date().toISOString()}`, navigator.userAgent];
  for (const card of document.querySelectorAll("[data-check]")) {
    const text = (selector) => card.querySelector(selector).textContent;
    lines.push(`${text("[data-verdict]")}: ${text("h3")}. ${text("[data-found]")}`);
  }
  return lines.join("\n");
}

copy.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(report());
    news.textContent = "The report was copied.";
  } catch {
    news.textContent = "This browser copies from secure pages only. Select the text of the page instead.";
  }
});

addEventListener("pagehide", () => made && tidyUp(made, true));
run.addEventListener("click", runAll);
runAll();
