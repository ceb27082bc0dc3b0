// What a JavaScript client hears of kept broadcasts over lost connections, as one line of JSON.
import { io } from "socket.io-client";
import { PresenceClient } from "../../static/client/index.js";

const [url, room] = process.argv.slice(2);
const ada = new PresenceClient(url, { io, peerId: "ada" });
const bob = new PresenceClient(url, { io, peerId: "bob" });
const until = async (condition) => {
  for (let i = 0; i < 400 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 50));
};
const heard = [];
bob.on("broadcast", ({ data }) => heard.push(data));
await ada.join(room);
await ada.broadcast("chat", "before", { keep: true });
await bob.join(room);
const wanted = [];
for (let turn = 0; turn < 3; turn++) {
  wanted.push(`here ${turn}`);
  await ada.broadcast("chat", `here ${turn}`, { keep: true });
  await until(() => heard.includes(`here ${turn}`));
  // The connection is lost in the midst of what is said.
  const said = Array.from({ length: 250 }, (_, number) => `${turn}.${number}`);
  wanted.push(...said);
  said.forEach((text, number) => {
    void ada.broadcast("chat", text, { keep: true });
    if (number === 100) bob.socket.io.engine.close();
  });
  await until(() => bob.state === "joined" && heard.length >= wanted.length);
  await bob.broadcast("chat", "own", { keep: true });
}
const late = new PresenceClient(url, { io, peerId: "late" });
const all = [];
late.on("broadcast", ({ data, replayed }) => all.push([data, replayed]));
await late.join(room, { history: true });
await until(() => all.length >= wanted.length + 4);
const others = all.map(([data]) => data).filter((data) => data !== "own");
console.log(
  JSON.stringify({
    heard: JSON.stringify(heard) === JSON.stringify(wanted) || heard,
    all: JSON.stringify(others) === JSON.stringify(["before", ...wanted]) || others,
    replayed: all.every(([, replayed]) => replayed),
  }),
);
for (const client of [ada, bob, late]) client.close();
