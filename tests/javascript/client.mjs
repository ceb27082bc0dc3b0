// What the JavaScript client does under Node, reported as one line of JSON.
import { io } from "socket.io-client";
import { PresenceClient } from "../../static/client/index.js";

const [url, room] = process.argv.slice(2);
const codeOf = (promise) => promise.then(() => "no error", (error) => error.code);
const report = {};

const client = new PresenceClient(url, { io, peerId: "node", timeout: 5000 });
report.unjoined = [await codeOf(client.update({}))];
await client.connect();
report.unjoined.push(await codeOf(client.update({})), await codeOf(client.signal("x", 1)));

const versions = [];
client.on("peers", (_peers, list) => versions.push(list.version));
const joined = await client.join(room, { userData: { a: 1 } });
report.joined = [joined.peer_id, client.state, client.roomName, client.version === joined.version];
report.merged = (await client.update({ b: 2 })).user_data;
report.removed = (await client.update({}, { remove: ["a"] })).user_data;

const shown = [];
client.on("room_data", (roomData) => shown.push(roomData));
await client.updateRoomData({ slide: 1, old: null });
await client.updateRoomData({}, { remove: ["old"] });
const other = new PresenceClient(url, { io, peerId: "other" });
await other.join(room);
const countUp = async (one) => {
  for (let i = 0; i < 10; i++) await one.updateRoomData(({ n = 0 }) => ({ n: n + 1 }));
};
await Promise.all([countUp(client), countUp(other)]);
const by = await codeOf(other.updateRoomData({ n: 0 }, { ifVersion: 0 }));
await new Promise((resolve) => setTimeout(resolve, 300));
report.roomData = [client.roomData, other.roomData, shown.at(-1), by];
other.close();

const progress = [];
const text = new Blob(["some words ".repeat(20_000)]);
const file = await client.upload(text, { name: "n.txt", onProgress: (p) => progress.push(p) });
report.uploaded = [file.file_size, file.original_filename];
report.progress = [
  progress.every(({ loaded }, i) => i === 0 || loaded > progress[i - 1].loaded),
  progress.at(-1).loaded === progress.at(-1).total,
];
const abort = new AbortController();
const big = new Blob(["some words ".repeat(1_000_000)]);
report.aborted = await codeOf(
  client.upload(big, { name: "b.txt", signal: abort.signal, onProgress: () => abort.abort() }),
);
report.refused = [
  await codeOf(client.upload(new Blob(["MZ"]), { name: "x.exe" })),
  await codeOf(client.signal("nobody", 1)),
  await codeOf(client.signal("nobody", "x".repeat(70_000))),
  await codeOf(client.join("", {})),
];

// The connection is cut; what is asked meanwhile is answered after the client has joined again.
client.socket.io.engine.close();
report.whileAway = [client.state, (await client.update({ c: 3 })).user_data];
report.rejoined = [client.state, client.roomName];
report.left = [(await client.leave()).reason, client.roomName, client.peers.length];
report.rising = versions.slice(0, -1).every((version, i) => i === 0 || version >= versions[i - 1]);
client.close();
report.closed = [client.state, await codeOf(client.update({}))];
report.nowhere = await codeOf(new PresenceClient("http://127.0.0.1:9", { io, timeout: 300 }).connect());
console.log(JSON.stringify(report));
