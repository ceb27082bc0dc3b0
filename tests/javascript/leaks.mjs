// Makes and closes clients, in every state there is, and reports what is left of them as one line of JSON.
//   node --expose-gc leaks.mjs <url> <room> <count>
import { io } from "socket.io-client";

// A browser's, to see who listens to the network.
const listeners = new Set();
globalThis.addEventListener = (event, listener) => listeners.add(listener);
globalThis.removeEventListener = (event, listener) => listeners.delete(listener);
const { PresenceClient } = await import("../../static/client/index.js");

const [url, room, count] = process.argv.slice(2);
const soon = (milliseconds) => new Promise((later) => setTimeout(later, milliseconds));
const kept = [];
let asked = 0;

async function use(number) {
  const client = new PresenceClient(url, { io, token: () => `${++asked}`, timeout: 20_000 });
  kept.push(new WeakRef(client));
  const quietly = (promise) => promise.catch(() => {});
  const joined = quietly(client.join(`${room} ${number % 10}`));
  const kind = number % 5;
  if (kind === 0) return client.close();
  if (kind === 1) await soon(number % 30);
  if (kind >= 2) await joined;
  if (kind === 3) client.socket?.io.engine.close();
  if (kind === 4) {
    quietly(client.update({ number }));
    quietly(client.iceServers());
    client.on("peers", () => client.version);
    client.call("nobody").close();
  }
  client.close();
}

globalThis.RTCPeerConnection = class {
  constructor() {
    throw new Error("there is none here");
  }
};
for (let at = 0; at < Number(count); at += 20) {
  await Promise.all(Array.from({ length: 20 }, (_, index) => use(at + index)));
}
await soon(500);
const before = asked;
for (let round = 0; round < 20; round += 1) {
  globalThis.gc();
  await soon(100);
  if (kept.every((one) => one.deref() === undefined)) break;
}
const handles = process.getActiveResourcesInfo();
const report = {
  made: kept.length,
  kept: kept.filter((one) => one.deref() !== undefined).length,
  listeners: listeners.size,
  asked: asked - before,
  sockets: handles.filter((name) => name.startsWith("TCP")).length,
  timers: handles.filter((name) => name === "Timeout").length,
};
console.log(JSON.stringify(report));
