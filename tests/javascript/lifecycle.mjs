// Ordinary programs, in orders of calls that once went wrong; reports one line of JSON by their names.
//   node lifecycle.mjs <url> <prefix of rooms>
import { io } from "socket.io-client";
import { PresenceClient } from "../../static/client/index.js";
import { proxyTo } from "./proxy.mjs";

const [url, prefix] = process.argv.slice(2);
const outcome = (promise) => promise.then(() => "resolved", (error) => error.code);
const soon = (milliseconds) => new Promise((later) => setTimeout(later, milliseconds));
const made = [];
const make = (options = {}, at = url) => {
  const client = new PresenceClient(at, { io, timeout: 3000, ...options });
  client.happened = [];
  for (const event of ["left", "joined", "error", "peer_left"]) {
    client.on(event, (body) => client.happened.push(`${event} ${body.reason ?? body.code ?? body.peer_id ?? body.room_name}`));
  }
  made.push(client);
  return client;
};

/** Wait until `condition()` is true, for five seconds at most. */
async function eventually(condition, seconds = 5) {
  for (const until = Date.now() + seconds * 1000; Date.now() < until; await soon(20)) {
    const value = await condition();
    if (value) return value;
  }
  return condition();
}

/** Who is active in a room, as the server has it. */
async function present(room) {
  const answer = await fetch(`${url}/api/webrtc/rooms/${encodeURIComponent(room)}`);
  if (!answer.ok) return [];
  const { peers } = await answer.json();
  return peers.filter((peer) => peer.is_active).map((peer) => peer.peer_id).sort();
}

const isEmpty = (room) => eventually(async () => (await present(room)).length === 0);

const cases = {
  async "changing rooms is leaving"(one, two) {
    const [alice, bob] = [make({ peerId: "alice" }), make({ peerId: "bob" })];
    await bob.join(one);
    await alice.join(one);
    await eventually(() => alice.activePeers.length === 2);
    const pending = alice.join(two);
    const meanwhile = [alice.state, alice.roomName, alice.peers.length];
    await pending;
    return [[...alice.happened], meanwhile, await present(one), await present(two)];
  },
  async "join and close in one tick"(room) {
    const client = make();
    const joined = outcome(client.join(room));
    client.close();
    return [await joined, client.state, client.socket, await isEmpty(room)];
  },
  async "join, close while connecting, join"(room) {
    const client = make();
    const first = outcome(client.join(room));
    // Looked at in every turn of the loop, or a fast server has answered by then.
    while (!client.socket) await new Promise(setImmediate);
    client.close();
    return [await first, await outcome(client.join(room)), await isEmpty(room)];
  },
  async "leaving while waiting for a place"(room) {
    const others = [make({ peerId: "a" }), make({ peerId: "b" })];
    for (const other of others) await other.join(room);
    const client = make({ peerId: "c" });
    const refused = await outcome(client.join(room));
    const waiting = outcome(client.join(room, { waitForPlace: true }));
    await eventually(() => client.happened.includes("error room_full"));
    const while_ = client.state;
    const left = await client.leave();
    await others[0].leave();
    await soon(600);
    return [refused, while_, await waiting, left.reason, client.state, client.roomName, await present(room)];
  },
  async "waiting for a place is rewarded"(room) {
    const others = [make({ peerId: "a" }), make({ peerId: "b" })];
    for (const other of others) await other.join(room);
    const client = make({ peerId: "c", timeout: 300 });
    const waiting = outcome(client.join(room, { waitForPlace: true }));
    await soon(800);
    await others[0].leave();
    return [await waiting, client.state, await present(room)];
  },
  async "joining again where a lost place was taken"(room) {
    const line = await proxyTo(url);
    const client = make({ peerId: "a", timeout: 600 }, line.url);
    await client.join(room);
    line.refuse();
    line.cut();
    const others = [make({ peerId: "b" }), make({ peerId: "c" })];
    for (const other of others) await other.join(room, { waitForPlace: true });
    line.accept();
    await eventually(() => client.happened.includes("error room_full"));
    const again = await outcome(client.join(room));
    const all = [again, client.state, client.roomName === room];
    await others[0].leave();
    await eventually(() => client.state === "joined");
    all.push(await present(room));
    client.close();
    line.close();
    return all;
  },
  async "a connection that flaps while a rejoin is on its way"(room) {
    const line = await proxyTo(url);
    const client = make({ peerId: "alice" }, line.url);
    await client.join(room);
    const states = new Set();
    client.on("state", (state) => states.add(state));
    for (let i = 0; i < 6; i += 1) {
      line.cut();
      await eventually(() => line.connections > 0);
      await soon(i * 7);
    }
    line.refuse();
    await soon(300);
    line.accept();
    await eventually(() => client.state === "joined");
    const all = [client.happened.filter((what) => /^left|^peer_left/.test(what)), client.state, states.has("idle"), await present(room)];
    client.close();
    line.close();
    return all;
  },
  async "a token function that fails"(room) {
    let asked = 0;
    const token = async () => {
      asked += 1;
      throw new TypeError("the backend is away");
    };
    const client = make({ token });
    const error = await client.join(room).catch((failure) => failure);
    const before = asked;
    await soon(1200);
    return [error.code, error.cause?.message, error.detail.includes("the backend is away"), asked === before, asked > 1, client.state];
  },
  async "a token function that never answers"(room) {
    const client = make({ token: () => new Promise(() => {}), timeout: 400 });
    return [await outcome(client.join(room)), client.state, client.socket];
  },
  async "a join that timed out joins nobody later"(room) {
    const line = await proxyTo(url);
    const client = make({ peerId: "late", timeout: 500 }, line.url);
    await client.connect();
    line.hold();
    const joined = await outcome(client.join(room));
    line.release();
    await soon(700);
    const all = [joined, client.state, client.roomName, await isEmpty(room), client.happened];
    client.close();
    line.close();
    return all;
  },
  async "a later join takes an earlier one's place"(one, two) {
    const client = make({ peerId: "alice" });
    const all = [one, two, one, two].map((room) => outcome(client.join(room)));
    return [await Promise.all(all), client.roomName === two, await isEmpty(one), await present(two)];
  },
  async "leaving withdraws a join"(room) {
    const client = make();
    await client.connect();
    const joined = outcome(client.join(room));
    // The request may be on its way after this, but no answer can have come.
    for (let turn = 0; turn < 10; turn += 1) await null;
    const left = await client.leave();
    return [await joined, left.reason, client.state, await isEmpty(room)];
  },
  async "leaving and joining again while a join is on its way"(room) {
    const client = make({ peerId: "alice", timeout: 600 });
    await client.connect();
    const { socket } = client;
    const first = outcome(client.join(room));
    // It has been sent, and what it gets will be the place of the second.
    const began = Date.now();
    const left = outcome(client.leave());
    const second = outcome(client.join(room));
    const all = [await first, await left, await second, Date.now() - began < 600];
    await soon(900); // longer than any wait of this client
    return [...all, client.state, client.socket === socket, await present(room)];
  },
  async "leaving while the connection is lost"(room) {
    const line = await proxyTo(url);
    const client = make({ peerId: "alice" }, line.url);
    await client.join(room);
    await client.connect();
    line.refuse();
    await eventually(() => client.state === "reconnecting");
    const left = await client.leave();
    line.accept();
    await eventually(() => client.connected);
    await soon(300);
    // A line that is cut while it is upgraded from polling is found dead by the next ping.
    const isOut = await eventually(async () => (await present(room)).length === 0, 15);
    const all = [left.reason, client.state, client.roomName, isOut];
    client.close();
    line.close();
    return all;
  },
  async "closing answers whatever waits"(room) {
    const client = make();
    await client.join(room);
    const waiting = [client.update({ a: 1 }), client.signal("x", 1), client.join(room), client.leave(), client.iceServers()];
    const outcomes = Promise.all(waiting.map(outcome));
    client.close();
    const later = [client.join(room), client.leave(), client.update({}), client.connect(), client.iceServers(), client.watch()];
    return [await outcomes, await Promise.all(later.map(outcome)), await isEmpty(room)];
  },
  async "what waits for a room ends with it"(one, two) {
    const line = await proxyTo(url);
    const client = make({ peerId: "alice" }, line.url);
    await client.join(one, { userData: { here: 1 } });
    line.refuse();
    await eventually(() => client.state === "reconnecting");
    const update = outcome(client.update({ there: 1 }));
    const joined = client.join(two);
    line.accept();
    await joined;
    const all = [await update, client.me.user_data];
    client.close();
    line.close();
    return all;
  },
  async "listeners that call again"(one, two) {
    const client = make({ peerId: "alice" });
    await client.join(one);
    let again;
    client.once("left", () => (again = outcome(client.join(two))));
    const left = await outcome(client.leave());
    return [left, await again, client.roomName === two, await isEmpty(one), await present(two)];
  },
  async "two clients count up in one user data"(room) {
    const clients = [make({ peerId: "tab" }), make({ peerId: "tab" })];
    for (const client of clients) await client.join(room);
    const counts = clients.map(async (client) => {
      for (let i = 0; i < 20; i += 1) await client.update(({ count = 0 }) => ({ count: count + 1 }));
    });
    await Promise.all(counts);
    await eventually(() => clients.every((client) => client.me.user_data.count === 40));
    return clients.map((client) => client.me.user_data.count);
  },
  async "who is put out is told why"(room) {
    const client = make({ peerId: "alice" });
    await client.join(room);
    await fetch(`${url}/api/webrtc/rooms/${encodeURIComponent(room)}/leave?peer_id=alice`, { method: "POST" });
    await eventually(() => client.state === "idle");
    return [client.happened.at(-2), await outcome(client.update({})), client.state];
  },
  async "watching without joining"(room) {
    const [watcher, alice] = [make(), make({ peerId: "alice" })];
    const heard = [];
    watcher.on("room_changed", (body) => heard.push(body.room_name === room));
    await watcher.watch(room);
    await alice.join(room);
    await eventually(() => heard.length > 0);
    watcher.socket.io.engine.close();
    await eventually(() => !watcher.connected);
    await eventually(() => watcher.connected);
    await soon(100);
    const before = heard.length;
    await alice.update({ a: 1 });
    await eventually(() => heard.length > before);
    return [watcher.state, heard[0], heard.length > before, room in (await watcher.rooms()), await present(room)];
  },
};

const report = {};
const [only] = process.argv.slice(4);
for (const [name, run] of Object.entries(cases)) {
  if (only && !name.includes(only)) continue;
  try {
    report[name] = await run(`${prefix} ${name} 1`, `${prefix} ${name} 2`);
  } catch (error) {
    report[name] = String(error.stack);
  }
  for (const client of made.splice(0)) client.close();
}
// Nothing may keep the process: it ends by itself.
console.log(JSON.stringify(report));
