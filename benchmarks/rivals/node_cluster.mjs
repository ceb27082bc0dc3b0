// Socket.IO's own server over several processes, with its Redis adapter and PostgreSQL, as most people
// would write it: every change of a room reads its list and sends it to everybody in it. With
// COALESCE_MS set, changes within that time share a list. Joins, updates and leaving only.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import pg from "pg";
import { createClient } from "redis";
import { Server } from "socket.io";

const {
  PORT, DATABASE_URL, REDIS_URL, COALESCE_MS = "0", MAX_PEERS = "2000", PING_SECONDS = "5",
  PONG_SECONDS = "60",
} = process.env;
const coalesce = Number(COALESCE_MS);

// postgresql://user@/name?host=/folder: a socket in a folder, which pg wants named apart.
const address = DATABASE_URL.match(/^postgresql:\/\/(\w+)@\/(\w+)\?host=(.+)$/);
const db = new pg.Pool({ user: address[1], database: address[2], host: address[3], max: 10 });
await db.query(`
  SELECT pg_advisory_lock(1);
  CREATE TABLE IF NOT EXISTS node_rooms (name TEXT PRIMARY KEY, max_peers INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS node_peers (
    room_name TEXT NOT NULL REFERENCES node_rooms (name), peer_id TEXT NOT NULL,
    username TEXT NOT NULL, joined_at TIMESTAMPTZ NOT NULL, last_seen TIMESTAMPTZ NOT NULL,
    is_active BOOLEAN NOT NULL, user_data JSONB NOT NULL, PRIMARY KEY (room_name, peer_id));
  SELECT pg_advisory_unlock(1);
`);

async function listOf(roomName) {
  const { rows } = await db.query({
    name: "list",
    text: `SELECT peer_id, username, joined_at, is_active, last_seen, user_data
      FROM node_peers WHERE room_name = $1 ORDER BY joined_at, peer_id`,
    values: [roomName],
  });
  const active = rows.filter((row) => row.is_active).length;
  return { room_name: roomName, active_peers: active, total_peers: rows.length, peers: rows };
}

async function joinRoom(roomName, peerId, username, data) {
  const client = await db.connect();
  try {
    await client.query("BEGIN");
    await client.query(
      "INSERT INTO node_rooms VALUES ($1, $2) ON CONFLICT DO NOTHING", [roomName, Number(MAX_PEERS)]);
    await client.query("SELECT 1 FROM node_rooms WHERE name = $1 FOR UPDATE", [roomName]);
    const { rows } = await client.query(
      "SELECT count(*)::int AS n FROM node_peers WHERE room_name = $1 AND is_active", [roomName]);
    if (rows[0].n >= Number(MAX_PEERS)) throw new Error("The room is full.");
    await client.query(
      `INSERT INTO node_peers VALUES ($1, $2, $3, now(), now(), true, $4)
       ON CONFLICT (room_name, peer_id) DO UPDATE SET username = excluded.username,
         last_seen = now(), is_active = true, user_data = node_peers.user_data || excluded.user_data`,
      [roomName, peerId, username, data]);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}

const http = createServer();
const io = new Server(http, {
  pingInterval: Number(PING_SECONDS) * 1000,
  pingTimeout: Number(PONG_SECONDS) * 1000,
});
const publisher = createClient({ url: REDIS_URL });
const subscriber = publisher.duplicate();
await Promise.all([publisher.connect(), subscriber.connect()]);
io.adapter(createAdapter(publisher, subscriber));

const waiting = new Map();
async function announce(roomName) {
  const send = async () => io.to(roomName).emit("peer_list_updated", await listOf(roomName));
  if (!coalesce) return send();
  // The first change goes out at once; those that follow within the time share the next list.
  if (waiting.has(roomName)) {
    waiting.set(roomName, true);
    return;
  }
  waiting.set(roomName, false);
  await send();
  const next = async () => {
    if (!waiting.get(roomName)) {
      waiting.delete(roomName);
      return;
    }
    waiting.set(roomName, false);
    await send();
    setTimeout(next, coalesce);
  };
  setTimeout(next, coalesce);
}

io.on("connection", (socket) => {
  let place = null;

  function on(event, handle) {
    socket.on(event, async (message, ack) => {
      try {
        const body = await handle(message);
        ack?.({ ok: true, ...body });
      } catch (error) {
        const body = { code: "refused", detail: error.message };
        socket.emit(`${event}_error`, body);
        ack?.({ ok: false, ...body });
      }
    });
  }

  on("join_room", async ({ room_name: roomName, peer_id: peerId, username, user_data = {} }) => {
    await joinRoom(roomName, peerId, username, user_data);
    place = { roomName, peerId };
    socket.join(roomName);
    const list = await listOf(roomName);
    socket.emit("join_room_success", { ...list, peer_id: peerId });
    await announce(roomName);
    return list;
  });

  on("update_user_data", async ({ user_data: data }) => {
    if (!place) throw new Error("Join a room first.");
    const { rows } = await db.query({
      name: "update",
      text: `UPDATE node_peers SET user_data = user_data || $3, last_seen = now()
        WHERE room_name = $1 AND peer_id = $2 RETURNING user_data`,
      values: [place.roomName, place.peerId, data],
    });
    const body = {
      room_name: place.roomName, peer_id: place.peerId, user_data: rows[0].user_data,
    };
    socket.emit("update_user_data_success", body);
    await announce(place.roomName);
    return body;
  });

  socket.on("disconnect", async () => {
    if (!place) return;
    await db.query(
      "UPDATE node_peers SET is_active = false, last_seen = now() WHERE room_name = $1 AND peer_id = $2",
      [place.roomName, place.peerId]);
    await announce(place.roomName);
  });
});

http.listen(Number(PORT), "127.0.0.1");
