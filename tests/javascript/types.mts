// Compiled, never run: what a program in TypeScript may write, and what it may not.
import { PresenceClient, PresenceError, everyone } from "../../static/client/index.js";

const client = new PresenceClient("https://presence.example.org", { timeout: 5000 });
client.on("peers", (peers, list) => console.log(peers[0].username.length + list.version));
client.on("signal", ({ from, data }) => void client.signal(from, data, { type: "echo" }));
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
for (const connection of client.call(everyone)) {
  connection.on("state", ({ state, reason }) => console.log(state === "failed", reason?.length));
  const { path, roundTripTime } = await connection.stats();
  console.log(path === "relayed", (roundTripTime ?? 0) + 1);
}
try {
  client.call("bob").close();
} catch (error) {
  if (error instanceof PresenceError) console.log(error.code === "not_joined", error.detail);
}

// @ts-expect-error there is no such event
client.on("nothing", () => {});
// @ts-expect-error a function is no JSON
await client.signal("bob", () => {});
// @ts-expect-error a call needs to know whom
client.call();
