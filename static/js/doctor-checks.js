// The doctor's checks. Each returns `{ state, found }` or throws what went wrong.

import { allows, coversRoom, headers, isLocked, isReady, pass } from "./pass.js";
import { checkIce, checkWebRtc } from "./doctor-webrtc.js";
import { checkBuffering, checkCaching, checkPrefix, whyNoWebSocket } from "./doctor-proxy.js";
import { base } from "./server.js";

const PATIENCE_MS = 8000;

export const CHECKS = [
  { id: "prefix", check: checkPrefix, isFirst: true },
  { id: "rest", check: rest, grants: ["join"] },
  { id: "polling", check: (shared) => connects(shared, ["polling"]), grants: ["list"] },
  { id: "websocket", check: websocket, grants: ["list"] },
  { id: "caching", check: checkCaching },
  { id: "buffering", check: checkBuffering },
  { id: "upgrade", check: upgrade },
  { id: "elsewhere", check: elsewhere },
  { id: "upload", check: upload, grants: ["upload"] },
  { id: "secure", check: secure },
  { id: "webrtc", check: checkWebRtc },
  { id: "ice", check: checkIce, grants: ["join"] },
];

/** Return what keeps a check from being tried at a locked server, or null. */
export function missing({ grants = [] }, { roomName }) {
  if (!isLocked || grants.length === 0) return null;
  if (!isReady) return skipped("Needs a token: the field for it is at the top.");
  if (!coversRoom(roomName)) return skipped(`This token is not for the room “${roomName}”, where the doctor tries things.`);
  const lacking = grants.filter((grant) => !allows(grant));
  return lacking.length ? skipped(`This token does not allow “${lacking.join("”, “")}”.`) : null;
}

const ok = (found) => ({ state: "ok", found });
const skipped = (found) => ({ state: "skipped", found });

/** Return the JSON of a response, or say what answered in the server's place. */
async function json(response) {
  const text = await response.text();
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    const page = /<html|<!doctype/i.test(text);
    const what = page ? "a web page, which the server did not write" : "something that is not JSON";
    throw new Error(`Status ${response.status} with ${what}.`);
  }
  if (!response.ok) throw new Error(`Status ${response.status}: ${body.detail}`);
  return body;
}

const path = ({ roomName }) => `${base}/api/webrtc/rooms/${encodeURIComponent(roomName)}`;

async function rest(shared) {
  const began = performance.now();
  const response = await fetch(`${path(shared)}/join`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers() },
    body: JSON.stringify({ peer_id: shared.peerId, username: "Doctor" }),
  });
  await json(response);
  shared.joined = true;
  return ok(`Answered in ${Math.round(performance.now() - began)} ms.`);
}

function open(transports) {
  const auth = isLocked ? { token: pass.token } : undefined;
  return globalThis.io({ path: `${base}/socket.io/`, transports, auth, forceNew: true, reconnection: false, timeout: PATIENCE_MS });
}

/** Return what a client says of a lost connection, with the status and the sentence that were answered. */
function reasonOf(error, request) {
  if (!request?.status) return error.message;
  let detail = "";
  try {
    detail = `: ${JSON.parse(request.responseText).detail.replace(/\.$/, "")}`;
  } catch {
    // Somebody answered in the server's place.
  }
  return `${error.message} (status ${request.status})${detail}`;
}

/** Settle with what `start(resolve, reject)` says, or reject after the patience is over. */
function inTime(start, late) {
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(late)), PATIENCE_MS);
    start(resolve, reject);
  });
}

async function connects(shared, transports) {
  const socket = open(transports);
  const cut = new Promise((_, reject) => {
    const fail = (what, error, request) => reject(new Error(`${what}: ${reasonOf(error, request)}.`));
    socket.on("connect_error", (error) => fail("No connection", error, error.context));
    socket.on("disconnect", (message, details) => fail("Connected, and cut off", { message }, details?.context));
  });
  cut.catch(() => {});
  try {
    const connected = inTime((resolve) => socket.on("connect", resolve), "No connection within 8 s.");
    await Promise.race([connected, cut]);
    const times = [];
    for (let turn = 0; turn < 3; turn += 1) {
      const began = performance.now();
      const answered = socket.timeout(PATIENCE_MS).emitWithAck("watch", { room_name: shared.roomName });
      await Promise.race([answered, cut]);
      times.push(performance.now() - began);
    }
    shared[transports[0]] = true;
    return ok(`There and back in ${Math.round(Math.min(...times))} ms.`);
  } finally {
    socket.disconnect();
  }
}

async function websocket(shared) {
  try {
    return await connects(shared, ["websocket"]);
  } catch (error) {
    throw new Error(`${error.message} ${await whyNoWebSocket()}`);
  }
}

async function upgrade(shared) {
  if (!shared.polling || !shared.websocket) {
    return skipped("Needs both polling and WebSocket.");
  }
  const socket = open(["polling", "websocket"]);
  try {
    return await inTime((resolve, reject) => {
      socket.on("connect_error", (error) => reject(new Error(`No connection: ${error.message}.`)));
      const upgraded = () => resolve(ok("Changed over."));
      socket.on("connect", () => {
        if (socket.io.engine.transport.name === "websocket") upgraded();
        else socket.io.engine.once("upgrade", upgraded);
      });
    }, "Connected by polling, and did not change over within 8 s.");
  } finally {
    socket.disconnect();
  }
}

async function elsewhere() {
  const place = document.getElementById("elsewhere");
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.title = "A page of another origin";
  let listen;
  try {
    const { refused } = await inTime((resolve) => {
      listen = (event) => event.source === frame.contentWindow && event.data?.doctor && resolve(event.data);
      addEventListener("message", listen);
      frame.src = `${base}/doctor/elsewhere`;
      place.append(frame);
    }, "The frame that tries it did not answer within 8 s.");
    if (isLocked && refused.length === 3) {
      return ok("Refused, as it should be where a server is locked: only the pages in its list may call it.");
    }
    if (refused.length) throw new Error(`Refused: ${refused.join(", ")}.`);
    return ok("Allowed: REST and Socket.IO.");
  } finally {
    removeEventListener("message", listen);
    frame.remove();
  }
}

async function upload(shared) {
  if (!shared.joined) return skipped("Needs the REST check to work.");
  const text = "The doctor was here.\n".repeat(Math.floor(shared.uploadBytes / 21));
  const form = new FormData();
  form.append("file", new File([text], "doctor.txt", { type: "text/plain" }));
  form.append("room_name", shared.roomName);
  form.append("peer_id", shared.peerId);
  const began = performance.now();
  const stored = await json(await fetch(`${base}/api/webrtc/upload`, { method: "POST", headers: headers(), body: form }));
  const milliseconds = Math.round(performance.now() - began);
  const read = await (await fetch(base + stored.file_url)).text();
  await json(await fetch(`${path(shared)}/files/${stored.filename}`, { method: "DELETE", headers: headers() }));
  if (read !== text) throw new Error("The file came back changed.");
  return ok(`Uploaded in ${milliseconds} ms, read back, and deleted.`);
}

function secure() {
  if (globalThis.isSecureContext && navigator.mediaDevices) {
    return ok("This page is secure; the browser will ask before it lends them.");
  }
  return { state: "attention", found: `${location.origin} is not a secure page.` };
}
