// What the JavaScript client does at a locked server, reported as one line of JSON.
//   node locked.mjs <url> <room> <token that expires soon> <token that lasts>
import { io } from "socket.io-client";
import { PresenceClient } from "../../static/client/index.js";

const [url, room, brief, lasting] = process.argv.slice(2);
const codeOf = (promise) => promise.then(() => "no error", (error) => error.code);
const report = {};

const make = (token) => new PresenceClient(url, { io, token, peerId: "ada", timeout: 5000 });
report.without = await codeOf(make(undefined).connect());
report.wrong = await codeOf(make("x.y.z").connect());

// A function is asked before every connection; at first it cannot say.
const given = [new Error("not yet"), brief, lasting];
const errors = [];
const client = make(async () => {
  const next = given.length > 1 ? given.shift() : given[0];
  if (next instanceof Error) throw next;
  return next;
});
client.on("error", (error) => errors.push(error.code));
const rejoined = new Promise((resolve) => {
  client.on("joined", (_body, how) => how.rejoined && resolve(client.state));
});
await client.join(room);
report.errors = errors;
report.rejoined = await rejoined;
const file = await client.upload(new Blob(["some words"]), { name: "n.txt" });
report.uploaded = (await fetch(url + file.file_url)).status;
report.ice = Array.isArray((await client.iceServers()).iceServers);
report.foreign = await codeOf(client.join(`${room}-other`));
client.close();

// A token that stays as it is ends the client with it.
const fixed = make(brief);
report.fixed = await codeOf(fixed.connect());
console.log(JSON.stringify(report));
