// Stock clients through proxies while a worker is killed. For each address and each way to connect, one of
// two sends, one message after the other. Prints a line when all are at it, reads a line when the worker
// was killed, goes on until each pair has sent as much again, and reports as one line of JSON.
//   node outliving.mjs <how many messages> <address of a server>...
import { once } from "node:events";
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const [count, ...addresses] = process.argv.slice(2);
const WAYS = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };
const PATIENCE_MS = 10_000;
const PACE_MS = 25;

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
let isKilled = false;

/** One who sends and one who hears, in a room of their own. */
class Pair {
  constructor(address, way, room) {
    this.room = room;
    // Of each signal that was acknowledged: its number, and the worker with which it may be lost.
    this.sent = [];
    this.told = new Set();
    this.report = { room, updated: 0, delivered: 0, held: 0, lost: 0, silent: 0, away: 0, workers: [] };
    [this.sender, this.hearer] = ["ann", "bob"].map((peer_id) => {
      const socket = io(address, { transports: WAYS[way], forceNew: true, reconnectionDelay: 200, reconnectionDelayMax: 1000 });
      socket.on("connect", () => this.report.workers.push(socket.id.split(".")[0]));
      // Their place is kept for them after that: they send no second one.
      socket.once("connect", () => socket.emit("join_room", { room_name: room, peer_id, username: peer_id }));
      return socket;
    });
    this.joined = Promise.all([this.sender, this.hearer].map((socket) => once(socket, "join_room_success")));
    this.heard = new Set();
    this.hearer.on("signal", ({ data }) => this.heard.add(data));
    this.sender.on("signal_error", ({ signal_id }) => this.told.add(signal_id));
  }

  /** Ask, and note a question that got no answer. */
  async ask(event, body) {
    try {
      return await this.sender.timeout(PATIENCE_MS).emitWithAck(event, body);
    } catch (error) {
      if (error.message.includes("timed out")) this.report.silent += 1;
      return { ok: false };
    }
  }

  async send() {
    let [last, after] = [performance.now(), 0];
    for (let n = 1; after < count; n += 1) {
      const [updated, signalled] = [
        await this.ask("update_user_data", { user_data: { n } }),
        await this.ask("signal", { to: "bob", data: n }),
      ];
      if (updated.ok) this.report.updated = n;
      if (signalled.ok) {
        const holder = signalled.status === "delivered" ? signalled.to_session : this.sender.id;
        this.sent.push({ n, worker: holder?.split(".")[0], id: signalled.signal_id });
        this.report[signalled.status] += 1;
      }
      if (updated.ok && signalled.ok) {
        this.report.away = Math.max(this.report.away, performance.now() - last);
        last = performance.now();
        after += isKilled ? 1 : 0;
      }
      await pause(PACE_MS);
    }
  }

  /** Report what was acknowledged and neither came nor was told to be lost: but not what the killed worker had. */
  async end(killed) {
    const isMissing = ({ n, worker, id }) => worker !== killed && !this.heard.has(n) && !this.told.has(id);
    const missing = () => this.sent.filter(isMissing).length;
    for (let turn = 0; turn < 250 && missing(); turn += 1) await pause(50);
    this.report.lost = missing();
    this.sender.close();
    this.hearer.close();
    return this.report;
  }
}

const pairs = addresses.flatMap((address, number) =>
  Object.keys(WAYS).map((way) => new Pair(address, way, `outliving ${number} ${way}`)),
);
await Promise.all(pairs.map((pair) => pair.joined));
const sending = pairs.map((pair) => pair.send());
console.log("sending");
const [killed] = await once(createInterface({ input: process.stdin }), "line");
isKilled = true;
await Promise.all(sending);
console.log(JSON.stringify(await Promise.all(pairs.map((pair) => pair.end(killed)))));
process.exit(0);
