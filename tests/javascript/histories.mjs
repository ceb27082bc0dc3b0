// Made-up programs against a model: calls in any order, overlapping, over lines that are cut, held up
// and taken away. Reports one line of JSON: how many histories there were, and what was wrong.
//   node histories.mjs '{"url", "rooms", "count", "seed", "atOnce", "secret"?, "restarts"?}'
import { createHmac } from "node:crypto";
import { io } from "socket.io-client";
import { PresenceClient } from "../../static/client/index.js";
import { proxyTo } from "./proxy.mjs";

const { url, rooms, count, seed, atOnce = 40, secret = null, restarts = false } = JSON.parse(process.argv[2]);
const STEPS = 12;
const QUIET_MS = 40_000;
// What is told of a line that was not well, or of a server that was not.
const IMPAIRED = new Set(["timeout", "unreachable", "connection_lost", "token_failed", "storage_unavailable", "shutting_down", "internal_error"]);
const soon = (milliseconds) => new Promise((later) => setTimeout(later, milliseconds));

/** A small generator of numbers that can be begun again (mulberry32). */
function randomOf(start) {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function tokenFor(peerId, seconds, grants = ["join", "update", "signal", "list"]) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { sub: peerId, room: "*", grants, exp: Math.floor(Date.now() / 1000) + seconds };
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

const asAdmin = () => (secret ? { Authorization: `Bearer ${tokenFor("admin", 600, ["admin"])}` } : {});

async function roomOnServer(name) {
  const answer = await fetch(`${url}/api/webrtc/rooms/${encodeURIComponent(name)}`, { headers: asAdmin() });
  if (answer.status === 404) return { peers: [], version: 0 };
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}

/** One client, what the model says of it, and every call that it was asked for. */
class Actor {
  constructor(history, line, options) {
    this.history = history;
    this.line = line;
    this.client = new PresenceClient(line.url, { io: (...of) => history.traced(this, io(...of)), ...options });
    this.wanted = null;
    this.isIn = false;
    this.isClosed = false;
    this.calls = [];
    this.asked = 0;
    let stays = 0;
    this.client.on("joined", (_body, { rejoined }) => {
      this.isIn = true;
      if (!rejoined && ++stays !== 1) history.wrong("joined twice without having left");
    });
    this.client.on("left", ({ reason }) => {
      if (--stays !== 0) history.wrong("left without having joined");
      if (!["left", "closed", "left_over_rest"].includes(reason)) history.wrong(`left because of ${reason}`);
      if (reason === "left_over_rest") this.wanted = null;
      this.isIn = false;
    });
  }

  call(name, promise) {
    const { history } = this;
    const call = { name, asked: ++this.asked, outcome: null };
    this.calls.push(call);
    promise.then(() => (call.outcome = "resolved"), (error) => (call.outcome = error?.code ?? String(error?.stack ?? error)));
    history.note(`${history.actors.indexOf(this)} ${name}`);
    return call;
  }

  join(room, options) {
    const isRenewal = this.isIn && this.wanted === room;
    if (!isRenewal) this.isIn = false;
    this.wanted = room;
    const promise = this.client.join(room, options);
    const call = this.call(`join ${room}${options.waitForPlace ? " waiting" : ""}`, promise);
    promise.catch(() => {
      // The last word stands, unless it was only a word more about where one is.
      const isLast = !this.calls.some((other) => other.asked > call.asked && /^(join|leave)/.test(other.name));
      if (isLast && !isRenewal && !this.isIn) this.wanted = null;
    });
    call.isWaiting = Boolean(options.waitForPlace);
  }

  leave() {
    this.wanted = null;
    this.call("leave", this.client.leave());
  }

  close() {
    this.wanted = null;
    this.isClosed = true;
    this.client.close();
    this.history.note("close");
  }
}

class History {
  constructor(number) {
    this.number = number;
    this.random = randomOf(number);
    this.peerId = `p${number}`;
    this.rooms = [`${rooms} ${number} a`, `${rooms} ${number} b`];
    this.actors = [];
    this.lines = [];
    this.notes = [];
    this.trace = [];
    this.problems = [];
    this.isImpaired = restarts || secret !== null;
    this.wasPutOut = false;
  }

  note(what) {
    this.notes.push(what);
  }

  wrong(what) {
    this.problems.push(what);
  }

  /** Note what a socket says and hears, for those who read of a failure. */
  traced(actor, socket) {
    const trace = (what, body) => {
      const { room_name: room, reason, code, version, data } = body ?? {};
      const about = JSON.stringify({ room, reason, code, version, data });
      this.trace.push(`${Date.now() % 1e6} ${this.actors.indexOf(actor)} ${socket.id ?? "-"} ${what} ${about}`);
    };
    socket.on("connect", () => trace("connect"));
    socket.on("disconnect", (reason) => trace("disconnect", { reason }));
    socket.onAny((name, body) => trace(`< ${name}`, body));
    socket.onAnyOutgoing((name, body) => trace(`> ${name}`, body));
    return socket;
  }

  pick(list) {
    return list[Math.floor(this.random() * list.length)];
  }

  async run() {
    const hasLittleTime = this.random() < 0.3;
    this.isImpaired ||= hasLittleTime;
    for (let tab = 0; tab < 1 + Math.floor(this.random() * 2); tab += 1) {
      const line = await proxyTo(url);
      this.lines.push(line);
      this.newActor(line, hasLittleTime);
    }
    for (let part = 0; part < 2; part += 1) {
      for (let step = 0; step < STEPS; step += 1) await this.step(hasLittleTime);
      await this.becomeQuiet();
      if (this.problems.length) break;
    }
    for (const actor of this.actors) actor.client.close();
    await soon(20);
    for (const line of this.lines) line.close();
  }

  newActor(line, hasLittleTime) {
    const token = () => {
      if (this.random() < 0.1) throw new Error("no token just now");
      return tokenFor(this.peerId, 2 + Math.floor(this.random() * 3));
    };
    this.actors.push(new Actor(this, line, {
      peerId: this.peerId,
      timeout: hasLittleTime ? 250 : 20_000,
      ...(secret ? { token } : {}),
    }));
  }

  async step(hasLittleTime) {
    const actor = this.pick(this.actors);
    const { client, line } = actor;
    const roll = this.random();
    if (roll < 0.3) actor.join(this.pick([...this.rooms, `${rooms} full`]), { waitForPlace: this.random() < 0.2 });
    else if (roll < 0.45) actor.leave();
    else if (roll < 0.5) actor.call("connect", client.connect());
    else if (roll < 0.6) actor.call("update", client.update({ n: this.random() }));
    else if (roll < 0.65) actor.call("count", client.update(({ count = 0 }) => ({ count: count + 1 })));
    else if (roll < 0.72) actor.call("broadcast", client.broadcast("hello", 1));
    else if (roll < 0.76) actor.call("signal", client.signal("nobody", 1));
    else if (roll < 0.84) this.impair("cut", () => line.cut());
    else if (roll < 0.88) this.impair("hold", () => line.hold(), () => line.release(), hasLittleTime ? 600 : 60);
    else if (roll < 0.92) this.impair("refuse", () => line.refuse(), () => line.accept(), 300);
    else if (roll < 0.95) this.putOut(this.pick(this.rooms));
    else if (roll < 0.97) {
      actor.close();
      // A new one takes its place, as when a page is loaded anew.
      this.newActor(line, hasLittleTime);
      this.actors.splice(this.actors.indexOf(actor), 1);
      this.gone = [...(this.gone ?? []), actor];
    }
    if (this.random() < 0.6) await soon(this.random() * 60);
  }

  impair(what, begin, end = null, milliseconds = 0) {
    this.note(what);
    this.isImpaired = true;
    begin();
    if (end) setTimeout(end, this.random() * milliseconds);
  }

  putOut(room) {
    this.note(`put out of ${room}`);
    this.wasPutOut = true;
    const path = `/api/webrtc/rooms/${encodeURIComponent(room)}/leave?peer_id=${this.peerId}`;
    fetch(url + path, { method: "POST", headers: asAdmin() }).catch(() => {});
  }

  /** Wait until everybody is where the model says, and every call has ended as it may. */
  async becomeQuiet() {
    this.note("quiet");
    const everybody = [...this.actors, ...(this.gone ?? [])];
    const until = Date.now() + QUIET_MS;
    let why = await this.unquiet(everybody);
    while (why && Date.now() < until) {
      await soon(50 + this.random() * 100);
      why = await this.unquiet(everybody);
    }
    if (why) this.wrong(why);
    for (const actor of everybody) {
      for (const call of actor.calls) this.judge(actor, call);
      actor.calls = actor.calls.filter((call) => call.outcome === null);
    }
  }

  /** Say what is not yet as it must become, or null. */
  async unquiet(everybody) {
    for (const { client, calls, wanted, isClosed } of everybody) {
      const is = `${client.state} in ${client.roomName}`;
      const isWaiting = calls.some((call) => call.isWaiting && call.outcome === null);
      const open = calls.find((call) => call.outcome === null && !call.isWaiting);
      if (open) return `${open.name} has not ended (${is})`;
      if (isClosed) {
        if (client.state !== "closed" || client.roomName !== null || client.socket) return `closed, but ${is}`;
        if (calls.some((call) => call.outcome === null)) return "closed, but something waits";
      } else if (wanted === null) {
        if (client.state !== "idle" || client.roomName !== null) return `wants no room, but ${is}`;
      } else if (isWaiting) {
        if (client.state !== "connecting") return `waits for a place, but ${is}`;
      } else if (client.state !== "joined" || client.roomName !== wanted) return `wants ${wanted}, but ${is}`;
    }
    try {
      for (const name of this.rooms) {
        const { peers, version } = await roomOnServer(name);
        const inside = everybody.filter(({ client }) => client.roomName === name);
        const own = peers.find((peer) => peer.peer_id === this.peerId);
        const sessions = own?.is_active ? own.session_count : 0;
        if (sessions !== inside.length) return `${sessions} sessions in ${name}, but ${inside.length} clients`;
        for (const { client } of inside) {
          if (client.version !== version) return `a list of version ${client.version}, not ${version}`;
          const seen = JSON.stringify(client.peers, Object.keys(own).sort());
          const there = JSON.stringify(peers, Object.keys(own).sort());
          if (seen !== there) return `the list is ${seen}, not ${there}`;
        }
      }
    } catch (error) {
      return `the server: ${error.message}`;
    }
    return null;
  }

  judge(actor, { name, asked, outcome }) {
    if (outcome === "resolved" || outcome === null) return;
    const later = actor.calls.filter((call) => call.asked > asked).map((call) => call.name);
    const may = new Set();
    if (this.isImpaired) for (const code of IMPAIRED) may.add(code);
    if (actor.isClosed) may.add("closed");
    if (!name.startsWith("leave") && name !== "connect") {
      if (later.some((other) => other.startsWith("join"))) may.add("superseded");
      if (later.some((other) => /^(leave|join)/.test(other))) may.add("left");
      if (this.wasPutOut) may.add("left_over_rest");
    }
    if (name.startsWith("join") && name.endsWith("full")) may.add("room_full");
    if (/^(update|count|broadcast|signal)/.test(name)) for (const code of ["not_joined", "room_full"]) may.add(code);
    if (name === "signal") may.add("unknown_peer");
    // Others were faster for as long as there was time.
    if (name === "count" && this.isImpaired) may.add("conflict");
    if (name === "leave") may.delete("unreachable");
    if (!may.has(outcome)) this.wrong(`${name} ended with ${outcome}`);
  }
}

const blockers = [];
for (const peerId of ["x", "y"]) {
  const token = () => tokenFor(peerId, 600);
  const client = new PresenceClient(url, { io, peerId, timeout: 30_000, ...(secret ? { token } : {}) });
  blockers.push(client);
  await client.join(`${rooms} full`);
}
const failures = [];
let next = 0;
async function work() {
  while (next < count) {
    const history = new History(seed + next++);
    await history.run();
    if (history.problems.length) failures.push({ number: history.number, problems: history.problems.slice(0, 5), notes: history.notes, trace: history.trace.slice(-80) });
  }
}
await Promise.all(Array.from({ length: Math.min(atOnce, count) }, work));
for (const client of blockers) client.close();
// It ends by itself, for nothing of any client is left to keep it.
console.log(JSON.stringify({ histories: count, failures: failures.slice(0, 20), failed: failures.length }));
