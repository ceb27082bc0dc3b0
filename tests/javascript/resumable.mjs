// Uploads a file with the own client, over connections that may be cut, and reports what happened as
// one line of JSON.
//   node resumable.mjs <url> <room> <path> <name> [abort | away]
// With “away” what stands before the server answers the first pieces in its place, with a page of 502.
import { readFileSync } from "node:fs";
import { io } from "socket.io-client";
import { PresenceClient } from "../../static/client/index.js";

const [, , url, room, path, name, how] = process.argv;
const client = new PresenceClient(url, { io, peerId: "alice" });
await client.join(room);

const controller = new AbortController();
const seen = [];
let waits = 0;
let away = 3;
const asked = [];
const report = { seen, asked };
const realFetch = globalThis.fetch;
globalThis.fetch = (address, options) => {
  asked.push(`${options.method} ${new URL(address).pathname}`);
  if (how === "away" && ["PATCH", "HEAD"].includes(options.method) && (away -= 1) >= 0) {
    return new Response("<h1>Bad Gateway</h1>", { status: 502 });
  }
  return realFetch(address, options);
};
try {
  report.file = await client.upload(new Blob([readFileSync(path)]), {
    name,
    signal: controller.signal,
    onProgress({ loaded, total, isWaiting }) {
      seen.push(loaded / total);
      waits += isWaiting ? 1 : 0;
      if (how === "abort" && loaded > total / 4) controller.abort();
    },
  });
} catch (error) {
  report.error = error.code;
}
report.waits = waits;
client.close();
console.log(JSON.stringify(report));
