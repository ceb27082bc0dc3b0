// The doctor's checks of what stands before the server: each slip of a proxy that a browser can see.

import { base } from "./server.js";

const PATIENCE_MS = 4000;
// How far apart the server sends the two halves of its trickle, and what of that may get lost.
const TRICKLE_MS = 1000;
const AT_LEAST_MS = 500;
// Of several processes only one has seen a request, and they answer in turn.
const PROCESSES = 9;

/** Compare where this page is with where the server believes it to be. */
export function checkPrefix() {
  const seen = location.pathname.replace(/\/doctor\/?$/, "");
  const name = (path) => (path ? `below ${path}` : "at the top of the site");
  if (seen === base) return { state: "ok", found: `The server knows that it is ${name(base)}.` };
  throw new Error(`You see the server ${name(seen)}, and it believes itself ${name(base)}.`);
}

/** Begin two connections: whoever gets the same id twice is answered by a cache. */
export async function checkCaching() {
  const begin = async () => {
    const response = await fetch(`${base}/socket.io/?EIO=4&transport=polling`);
    return JSON.parse((await response.text()).slice(1)).sid;
  };
  const [first, second] = [await begin(), await begin()];
  if (first !== second) return { state: "ok", found: "Each answer is a new one." };
  throw new Error("Two connections got the same id: something between keeps answers for others.");
}

/** Read an answer that the server sends in two halves, and see whether they come so. */
export async function checkBuffering() {
  const reader = (await fetch(`${base}/doctor/trickle`)).body.getReader();
  const times = [];
  for (;;) {
    const { done } = await reader.read();
    if (done) break;
    times.push(performance.now());
  }
  const apart = times.at(-1) - times[0];
  if (apart > AT_LEAST_MS) return { state: "ok", found: "Answers come as they are sent." };
  return {
    state: "attention",
    found: `What was sent ${TRICKLE_MS / 1000} s apart came at once: something between holds answers back.`,
  };
}

/** Say what became of a request for a WebSocket on its way to the server. */
export async function whyNoWebSocket() {
  const key = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const address = `${location.origin.replace(/^http/, "ws")}${base}/doctor/upgrade/${key}`;
  await new Promise((resolve) => {
    setTimeout(resolve, PATIENCE_MS);
    const socket = new WebSocket(address);
    socket.onerror = socket.onclose = socket.onopen = resolve;
  });
  let seen;
  try {
    for (let turn = 0; turn < PROCESSES && !seen?.came; turn += 1) {
      seen = await (await fetch(`${base}/doctor/seen/${key}`)).json();
    }
  } catch {
    return "";
  }
  if (!seen.came) return "A request for one does not reach the server: something before it, or in this browser, stops it.";
  const lost = ["Upgrade", "Connection"].filter((name) => !seen[name.toLowerCase()]);
  if (lost.length) return `The proxy does not pass on the header${lost.length > 1 ? "s" : ""} ${lost.join(" and ")}.`;
  if (seen.protocol === "HTTP/1.0") return "The proxy asks in HTTP/1.0, which has no WebSocket.";
  return "A request for one reaches the server as it should, and its answer does not come back.";
}
