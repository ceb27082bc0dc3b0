// Uploads a file with the own client, over connections that may be cut, and reports what happened as
// one line of JSON.
//   node resumable.mjs <url> <room> <path> <name> [abort]
import { readFileSync } from "node:fs";
import { io } from "socket.io-client";
import { PresenceClient } from "../../static/client/index.js";

const [, , url, room, path, name, abort] = process.argv;
const client = new PresenceClient(url, { io, peerId: "alice" });
await client.join(room);

const controller = new AbortController();
const seen = [];
let waits = 0;
const asked = [];
const report = { seen, asked };
const realFetch = globalThis.fetch;
globalThis.fetch = (address, options) => {
  asked.push(`${options.method} ${new URL(address).pathname}`);
  return realFetch(address, options);
};
try {
  report.file = await client.upload(new Blob([readFileSync(path)]), {
    name,
    signal: controller.signal,
    onProgress({ loaded, total, isWaiting }) {
      seen.push(loaded / total);
      waits += isWaiting ? 1 : 0;
      if (abort && loaded > total / 4) controller.abort();
    },
  });
} catch (error) {
  report.error = error.code;
}
report.waits = waits;
client.close();
console.log(JSON.stringify(report));
