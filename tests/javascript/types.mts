// Compiled, never run: what a program in TypeScript may write, and what it may not.
import { PresenceClient, PresenceError, everyone } from "../../static/client/index.js";

const client = new PresenceClient("https://presence.example.org", { timeout: 5000, dataNotices: false });
client.on("peers", (peers, list) => console.log(peers[0]!.username.length + list.version));
client.on("signal", ({ from, data }) => {
  if (from !== null) void client.signal(from, data, { type: "echo" });
});
client.on("broadcast", ({ from, from_server, name }) => console.log(from?.length, from_server, name));
client.on("peer_left", (peer, { reason }) => console.log(peer.username, reason?.length));
const { peers } = await client.join("room", { userData: { role: "host", levels: [1, null] } });
console.log(peers.filter((peer) => peer.is_active).length);
const answer = await client.signal("bob", { hello: true });
if (answer.status === "held") console.log(answer.expires_in + 1);
else console.log(answer.to_session.length);
const file = await client.upload(new Blob(["x"]), {
  name: "x.txt",
  onProgress: ({ loaded, total }) => console.log(loaded / total),
  signal: new AbortController().signal,
});
console.log(file.file_url.length);
client.on("room_data", (roomData) => console.log(roomData["slide"]));
client.on("room_data_updated", ({ by, changed }) => console.log(by?.length, changed.length));
console.log((await client.updateRoomData({ slide: 1 }, { remove: ["old"] })).room_data, client.roomData["slide"]);
client.setState({ cursor: [1, 2], idle: false });
client.setState(null);
client.on("states", ([first]) => console.log(first?.session, first?.state.idle, client.states.length));
const { id } = await client.broadcast("chat", "hello", { keep: true });
client.on("broadcast", ({ replayed, sent_at }) => console.log(id, replayed, sent_at?.length));
client.on("broadcasts_missed", ({ from }) => console.log(from));
await client.updateRoomData(({ n }) => ({ n: Number(n ?? 0) + 1 }));
for (const connection of client.call(everyone)) {
  connection.on("state", ({ state, reason }) => console.log(state === "failed", reason?.length));
  const { path, roundTripTime } = await connection.stats();
  console.log(path === "relayed", (roundTripTime ?? 0) + 1);
  await connection.send(new Uint8Array([1, 2, 3]));
  connection.on("stream", (stream) => (document.createElement("video").srcObject = stream));
  connection.on("stream", (stream) => console.log(connection.nameOf(stream)?.length));
}
try {
  client.call("bob").close();
} catch (error) {
  if (error instanceof PresenceError) console.log(error.code === "not_joined", error.detail);
}
const description: RTCSessionDescriptionInit = { type: "offer", sdp: "v=0" };
await client.signal("bob", description);
const media = new MediaStream();
const call = client.call(everyone, media);
call.replaceTrack(media.getTracks()[0]!, media.getTracks()[1]!);
call.addStream(media, "screen");
call.on("stream", (stream, { peerId }) => console.log(stream.id, peerId.length));
await client.ban("bob", { roomName: "room", seconds: 60 });
console.log((await client.rooms())["room"]?.active_peer_count);

// With an interface for one's data, and a union for what is signalled.
interface Cursor {
  x: number;
  y: number;
  colour?: string;
}
type Move = { kind: "move"; to: [number, number] } | { kind: "stop" };
const typed = new PresenceClient<Cursor, Move>();
await typed.join("room", { userData: { x: 1, y: 2 } });
await typed.update({ colour: "red" });
await typed.update(({ x = 0 }) => ({ x: x + 1 }));
await typed.signal("bob", { kind: "stop" });
typed.on("signal", ({ data }) => console.log(data.kind === "move" ? data.to[0] : 0));
typed.on("peers", ([first]) => console.log(first?.user_data.x.toFixed()));

// @ts-expect-error there is no such key
await typed.update({ z: 1 });
// @ts-expect-error there is no such event
client.on("nothing", () => {});
// @ts-expect-error a function is no JSON
await client.signal("bob", () => {});
// @ts-expect-error nor is anything that has one inside
await client.signal("bob", { then: () => {} });
// @ts-expect-error a call needs to know whom
client.call();
// @ts-expect-error this is not what the two agreed on
await typed.signal("bob", { kind: "jump" });
await client.broadcast("wave");
await client.broadcast("wave", { hand: "left" });
