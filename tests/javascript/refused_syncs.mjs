// What a JavaScript client hears of kept broadcasts where the server cannot tell them for a moment.
import { io } from "socket.io-client";
import { PresenceClient } from "../../static/client/index.js";

const [url, room] = process.argv.slice(2);
let refused = 0;
/** Connect as ever, but have the first questions for what was missed answered with what may pass. */
const refusing = (...how) => {
  const socket = io(...how);
  const emit = socket.emit.bind(socket);
  socket.emit = (event, data, answer) => {
    if (event !== "sync" || refused === 2) return emit(event, data, answer);
    refused += 1;
    socket.flags = {};
    const code = ["storage_unavailable", "too_many_events"][refused - 1];
    setTimeout(() => answer(null, { ok: false, code, detail: "Try again." }));
    return socket;
  };
  return socket;
};
const ada = new PresenceClient(url, { io, peerId: "ada" });
const bob = new PresenceClient(url, { io: refusing, peerId: "bob" });
const heard = [];
let errors = 0;
bob.on("broadcast", ({ data }) => heard.push(data));
bob.on("error", () => (errors += 1));
await ada.join(room);
await ada.broadcast("chat", "before", { keep: true });
await bob.join(room, { history: true });
await ada.broadcast("chat", "away", { keep: true });
const until = async (condition) => {
  for (let i = 0; i < 200 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 50));
};
await until(() => heard.includes("away"));
await ada.broadcast("chat", "live", { keep: true });
await until(() => heard.includes("live"));
console.log(JSON.stringify({ refused, heard, errors }));
await Promise.all([ada.close(), bob.close()]);
