// What a JavaScript client makes of broadcasts and signals that only look like those of its calls.
import { io } from "socket.io-client";
import { PresenceClient } from "../../static/client/index.js";

const [url, room] = process.argv.slice(2);
const ada = new PresenceClient(url, { io, peerId: "ada" });
const mallory = new PresenceClient(url, { io, peerId: "mallory" });
const odd = [5, true, {}, "x", [null], null, [[]]];
const failures = [];
process.on("uncaughtException", (error) => failures.push(error.message));
console.error = (...words) => failures.push(words.join(" "));
ada.on("call", (connection) => connection.close());
await ada.join(room);
await mallory.join(room);
const heard = new Promise((resolve) => ada.on("signal", ({ type }) => type === "last" && resolve(true)));
for (const value of odd) {
  for (const data of [value, { to: value }, { to: "ada", refused: value }]) {
    await mallory.broadcast("presence_ring", data);
  }
  for (const type of ["answer", "candidate", "bye", "reset", "verify", "media", "here"]) {
    for (const data of [value, { from_connection: value }, { to_connection: value }, { media: value, sdp: value }]) {
      await mallory.signal("ada", data, { type });
    }
  }
}
await mallory.signal("ada", null, { type: "last" });
const report = { heard: await heard, failures: [...new Set(failures)] };
await Promise.all([ada.close(), mallory.close()]);
console.log(JSON.stringify(report));
process.exit(0);
