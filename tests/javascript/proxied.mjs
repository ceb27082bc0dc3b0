// What stock clients do through proxies, reported as one line of JSON: for each address and each way to
// connect, how it connected and what became of the messages of two clients, or the error that they show
// and the sentence with which they were refused.
//   node proxied.mjs <how many messages>[x<bytes of each>][+<milliseconds of silence>] <address of a server>...
// The second half of the messages comes after the silence.
import { io } from "socket.io-client";

const [messages, ...addresses] = process.argv.slice(2);
const [, count, size, silence] = /^(\d+)(?:x(\d+))?(?:\+(\d+))?$/.exec(messages).map((number) => Number(number ?? 0));
const more = "x".repeat(size);
const WAYS = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };
const PATIENCE_MS = 10_000;

const inTime = (promise) =>
  Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(new Error("silence")), PATIENCE_MS))]);

/** Return what stands in the answer that ended a connection: to be asked at once, for it is thrown away. */
function sentenceOf(request) {
  try {
    return JSON.parse(request.responseText).detail;
  } catch {
    return null;
  }
}

function connect(address, transports) {
  const { origin, pathname } = new URL(address);
  const path = `${pathname.replace(/\/$/, "")}/socket.io/`;
  const socket = io(origin, { path, transports, forceNew: true, reconnection: false });
  return inTime(
    new Promise((resolve, reject) => {
      socket.on("connect", () => resolve(socket));
      socket.on("connect_error", (error) => reject(Object.assign(error, { says: sentenceOf(error.context) })));
    }),
  ).catch((error) => {
    socket.close();
    throw error;
  });
}

async function talk(address, way, room) {
  const sockets = [];
  // How the server, or what stands before it, ended a connection.
  let cut;
  try {
    for (const peer_id of ["ann", "bob"]) {
      const socket = await connect(address, WAYS[way]);
      sockets.push(socket);
      socket.on("disconnect", (reason, details) => {
        cut ??= { reason, status: details?.context?.status ?? null, says: sentenceOf(details?.context) };
      });
      await inTime(socket.emitWithAck("join_room", { room_name: room, peer_id, username: peer_id }));
    }
    const heard = new Set();
    sockets[1].on("signal", ({ data }) => heard.add(data.n));
    // What was on its way when the connection was cut is never answered.
    const over = new Promise((_, reject) => sockets[0].on("disconnect", (reason) => reject(new Error(reason))));
    over.catch(() => {});
    const signal = (n) => inTime(Promise.race([over, sockets[0].emitWithAck("signal", { to: "bob", data: { n, more } })]));
    const numbers = Array.from({ length: count }, (_, n) => n);
    const first = silence ? numbers.splice(0, count / 2) : [];
    const outcomes = await Promise.allSettled(first.map(signal));
    await new Promise((resolve) => setTimeout(resolve, silence));
    outcomes.push(...(await Promise.allSettled(numbers.map(signal))));
    const delivered = outcomes.flatMap(({ value }, n) => (value?.status === "delivered" ? [n] : []));
    for (let turn = 0; turn < 100 && delivered.some((n) => !heard.has(n)); turn += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return {
      delivered: delivered.length,
      lost: delivered.filter((n) => !heard.has(n)).length,
      transport: sockets[0].io.engine.transport.name,
      cut,
    };
  } catch (error) {
    return { error: error.message, status: error.context?.status ?? null, says: cut?.says ?? error.says ?? null };
  } finally {
    sockets.forEach((socket) => socket.close());
  }
}

const report = {};
await Promise.all(
  addresses.map(async (address, number) => {
    report[address] = {};
    for (const way of Object.keys(WAYS)) report[address][way] = await talk(address, way, `proxied ${process.pid} ${number} ${way}`);
  }),
);
console.log(JSON.stringify(report));
process.exit(0); // and wait for no patience that was not needed
