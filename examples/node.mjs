// Joins a room, answers every signal, and uploads a note.
//   npm install && node node.mjs http://127.0.0.1:3001 demo
// A locked server wants a token for the peer "node": TOKEN=… node node.mjs …
import { PresenceClient, PresenceError } from "presence-client";
import { io } from "socket.io-client";

const [server = "http://127.0.0.1:3001", room = "demo"] = process.argv.slice(2);
const client = new PresenceClient(server, { io, peerId: "node", token: process.env.TOKEN });

client.on("peer_joined", (peer) => console.log(`${peer.username} is here`));
client.on("peer_left", (peer) => console.log(`${peer.username} is away`));
client.on("signal", async ({ from, type, data }) => {
  if (type !== "question") return;
  const { status } = await client.signal(from, { echo: data }, { type: "answer" });
  console.log(`answered ${from}: ${status}`);
});

await client.join(room, { userData: { role: "helper" } });
await client.update({ mood: "attentive" });
const note = new Blob(["This note was written by Node.\n"], { type: "text/plain" });
const file = await client.upload(note, {
  name: "note.txt",
  onProgress: ({ loaded, total }) => console.log(`uploaded ${loaded} of ${total} bytes`),
});
console.log(`the note is at ${file.file_url}`);

try {
  await client.signal("nobody", {});
} catch (error) {
  if (!(error instanceof PresenceError)) throw error;
  console.log(`${error.code}: ${error.detail}`);
}

process.on("SIGTERM", () => client.close());
