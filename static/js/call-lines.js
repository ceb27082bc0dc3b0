// What every line of a call is like, for those who want to know: measured only while somebody looks.

import { pathOf } from "../client/path.js";
import { drawMesh, linkInWords } from "./call-mesh.js";

const LOOK_MS = 2000;
const MOST_KEPT = 12;
// What the others tell of their own lines, at most.
const MOST_TOLD = 16;

/**
 * Keep what is known of lines. `connections()` are those of now, `own()` one's peer id, `nameOf(peerId)`;
 * `isAway(peerId)` tells whether somebody has gone as far as the server knows.
 */
export function startLines({ connections, own, nameOf, isAway }) {
  const mesh = document.getElementById("mesh");
  const list = document.getElementById("links");
  // By peer: what happened to its line; the last figures; and what it tells of its own lines.
  const histories = new Map();
  const figures = new Map();
  const told = new Map();
  const answered = new Map();
  let timer = null;

  /** A line is in another state. */
  function note(connection) {
    const history = histories.get(connection.peerId) ?? [];
    history.push([new Date(), stateOf(connection)]);
    histories.set(connection.peerId, history.slice(-MOST_KEPT));
    show();
  }

  function stateOf({ peerId, state, remoteId }) {
    // Who never answered is not in the call; that is no failure.
    if (state === "failed" && !remoteId) return "absent";
    return state === "connected" && isAway(peerId) ? "recovering" : state;
  }

  async function measure() {
    for (const connection of connections()) {
      const report = await connection.pc?.getStats().catch(() => null);
      if (report) figures.set(connection.peerId, compared(figures.get(connection.peerId), read(report)));
    }
  }

  function tellable() {
    return connections().map((connection) => {
      const { path = null, roundTripTime = null } = figures.get(connection.peerId) ?? {};
      return { to: connection.peerId, state: connection.state, path, roundTripTime };
    });
  }

  async function look() {
    await measure();
    if (timer === null) return;
    // The others measure theirs when they are asked.
    say(connections(), { links: tellable(), ask: true });
    show();
  }

  function say(some, body) {
    const text = JSON.stringify({ presence: "mesh", ...body });
    for (const one of some) if (one.channel?.readyState === "open") one.send(text).catch(() => {});
  }

  /** Somebody tells of their lines, and asks for ours perhaps. */
  async function hear(connection, { links, ask }) {
    const { peerId } = connection;
    told.set(peerId, Array.isArray(links) ? links.slice(0, MOST_TOLD) : []);
    show();
    const now = Date.now();
    if (ask !== true || now - (answered.get(peerId) ?? 0) < LOOK_MS / 2) return;
    answered.set(peerId, now);
    if (timer === null) await measure();
    say([connection], { links: tellable() });
  }

  function show() {
    if (timer === null) return;
    const all = connections();
    const lines = all.map((connection) => ({
      from: own(),
      to: connection.peerId,
      state: stateOf(connection),
      reason: connection.reason,
      path: null,
      roundTripTime: null,
      ...figures.get(connection.peerId),
    }));
    const people = [
      { id: own(), name: "You", own: true },
      ...all.map(({ peerId }) => ({ id: peerId, name: nameOf(peerId), own: false })),
    ];
    drawMesh(mesh, people, [...lines, ...others()]);
    const items = lines.map((line) => item(line));
    list.replaceChildren(...(items.length ? items : [words("li", "Nobody else is here yet.")]));
  }

  /** Return the connections among the others, each once, as those who have it tell. */
  function others() {
    const seen = new Set();
    const links = [];
    for (const [from, some] of told) {
      for (const link of some) {
        const key = JSON.stringify([from, link?.to].sort());
        if (!link || link.to === own() || link.state !== "connected" || seen.has(key)) continue;
        seen.add(key);
        const roundTripTime = Number.isFinite(link.roundTripTime) ? link.roundTripTime : null;
        links.push({ from, to: link.to, state: "connected", path: link.path, roundTripTime });
      }
    }
    return links;
  }

  function item(line) {
    const name = nameOf(line.to);
    if (line.state === "absent") return words("li", `${name}: not in the call. ${line.reason ?? ""}`);
    const element = document.createElement("li");
    element.className = line.state;
    const reason = line.state === "failed" && line.reason ? `. ${line.reason}` : "";
    element.append(words("p", `${name}: ${linkInWords(line)}${reason}`));
    const facts = document.createElement("dl");
    for (const [what, value] of factsOf(line)) facts.append(words("dt", what), words("dd", value));
    element.append(facts);
    return element;
  }

  function factsOf(line) {
    const past = (histories.get(line.to) ?? []).map(([at, state]) => `${at.toTimeString().slice(0, 8)} ${state === "absent" ? "no answer" : state}`);
    const facts = [["History", past.join(", ") || "none"]];
    if (!line.path) return facts;
    return [
      ["Path", `${line.localCandidate} → ${line.remoteCandidate}, ${line.protocol}`],
      ["Received", rate(line.received, line.lostIn)],
      ["Sent", rate(line.sent, line.lostOut)],
      ["Picture", line.picture ?? "none"],
      ...facts,
    ];
  }

  return {
    note,
    hear,
    forget(peerId) {
      for (const map of [figures, told]) map.delete(peerId);
      show();
    },
    show,
    /** Begin to measure, or end it. */
    open(isOpen) {
      clearInterval(timer);
      timer = isOpen ? setInterval(look, LOOK_MS) : null;
      if (!isOpen) return figures.clear();
      show();
      look();
    },
    clear() {
      for (const map of [histories, figures, told, answered]) map.clear();
    },
  };
}

/** Return what a browser's report says of a line: times in milliseconds, sizes in bytes. */
function read(report) {
  const found = { ...pathOf(report), at: performance.now(), packetsIn: 0, packetsLost: 0, lostOut: null, picture: null };
  report.forEach((entry) => {
    if (entry.type === "inbound-rtp") {
      found.packetsIn += entry.packetsReceived ?? 0;
      found.packetsLost += Math.max(0, entry.packetsLost ?? 0);
      if (entry.kind === "video" && entry.frameWidth && entry.framesPerSecond) {
        found.picture = `${entry.frameWidth} × ${entry.frameHeight}, ${Math.round(entry.framesPerSecond)} a second`;
      }
    } else if (entry.type === "remote-inbound-rtp" && entry.fractionLost !== undefined) {
      found.lostOut = Math.max(found.lostOut ?? 0, entry.fractionLost);
    }
  });
  return found;
}

/** Add what is only known by comparing: bits a second each way, and the share that was lost. */
function compared(before, now) {
  if (!before || now.bytesReceived < before.bytesReceived) return { ...now, received: null, sent: null, lostIn: null };
  const seconds = (now.at - before.at) / 1000;
  const [came, lost] = [now.packetsIn - before.packetsIn, now.packetsLost - before.packetsLost];
  return {
    ...now,
    received: ((now.bytesReceived - before.bytesReceived) * 8) / seconds,
    sent: ((now.bytesSent - before.bytesSent) * 8) / seconds,
    lostIn: came + lost > 0 ? lost / (came + lost) : null,
  };
}

/** Return how much comes or goes, and what share of it was lost, where that is known. */
function rate(bits, lost) {
  if (bits === null || bits === undefined) return "…";
  const much = bits < 1_000_000 ? `${Math.round(bits / 1000)} kbit/s` : `${(bits / 1_000_000).toFixed(1)} Mbit/s`;
  if (lost === null || lost === undefined) return much;
  return `${much}, ${(lost * 100).toFixed(lost > 0 && lost < 0.1 ? 1 : 0)} % lost`;
}

function words(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
