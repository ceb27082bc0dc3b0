// Socket.IO's own server with Express and SQLite, as most people would write it: every change of a
// room sends the whole list to everybody in it. With COALESCE_MS set, changes within that time share
// a list.
import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { extname, join } from "node:path";
import { mkdirSync } from "node:fs";
import Database from "better-sqlite3";
import express from "express";
import multer from "multer";
import { Server } from "socket.io";

const {
  PORT, DATA_DIR, COALESCE_MS = "0", MAX_PEERS = "2000", PING_SECONDS = "5", PONG_SECONDS = "5",
} = process.env;
const coalesce = Number(COALESCE_MS);
const uploads = join(DATA_DIR, "uploads");
mkdirSync(uploads, { recursive: true });

const db = new Database(join(DATA_DIR, "presence.db"));
db.pragma("journal_mode = WAL");
db.pragma("synchronous = NORMAL");
db.exec(`
  CREATE TABLE rooms (name TEXT PRIMARY KEY, max_peers INTEGER NOT NULL, created_at TEXT NOT NULL);
  CREATE TABLE peers (
    room_name TEXT NOT NULL REFERENCES rooms(name), peer_id TEXT NOT NULL, username TEXT NOT NULL,
    joined_at TEXT NOT NULL, last_seen TEXT NOT NULL, is_active INTEGER NOT NULL,
    user_data TEXT NOT NULL, PRIMARY KEY (room_name, peer_id));
  CREATE TABLE files (
    filename TEXT PRIMARY KEY, room_name TEXT NOT NULL, peer_id TEXT NOT NULL,
    uploaded_at TEXT NOT NULL);
  CREATE INDEX files_of_room ON files (room_name);
`);
const sql = {
  room: db.prepare("SELECT * FROM rooms WHERE name = ?"),
  rooms: db.prepare("SELECT * FROM rooms ORDER BY name"),
  addRoom: db.prepare("INSERT OR IGNORE INTO rooms VALUES (?, ?, ?)"),
  peer: db.prepare("SELECT * FROM peers WHERE room_name = ? AND peer_id = ?"),
  peers: db.prepare("SELECT * FROM peers WHERE room_name = ? ORDER BY joined_at, peer_id"),
  active: db.prepare("SELECT count(*) AS n FROM peers WHERE room_name = ? AND is_active = 1"),
  savePeer: db.prepare(`
    INSERT INTO peers VALUES (@room_name, @peer_id, @username, @now, @now, 1, @user_data)
    ON CONFLICT (room_name, peer_id) DO UPDATE SET username = excluded.username,
      last_seen = excluded.last_seen, is_active = 1, user_data = excluded.user_data`),
  saveData: db.prepare(
    "UPDATE peers SET user_data = ?, last_seen = ? WHERE room_name = ? AND peer_id = ?"),
  end: db.prepare(
    "UPDATE peers SET is_active = 0, last_seen = ? WHERE room_name = ? AND peer_id = ?"),
  files: db.prepare("SELECT peer_id, filename FROM files WHERE room_name = ?"),
  addFile: db.prepare("INSERT INTO files VALUES (?, ?, ?, ?)"),
};

class Refused extends Error {
  constructor(status, code, detail) {
    super(detail);
    Object.assign(this, { status, code });
  }
}

function peersOf(roomName) {
  const files = {};
  for (const file of sql.files.all(roomName)) {
    (files[file.peer_id] ??= []).push(`uploads/${file.filename}`);
  }
  return sql.peers.all(roomName).map((row) => ({
    peer_id: row.peer_id,
    username: row.username,
    joined_at: row.joined_at,
    is_active: row.is_active === 1,
    last_seen: row.last_seen,
    user_data: JSON.parse(row.user_data),
    uploaded_files: files[row.peer_id] ?? [],
  }));
}

function listOf(roomName) {
  const peers = peersOf(roomName);
  const active = peers.filter((peer) => peer.is_active).length;
  return { room_name: roomName, active_peers: active, total_peers: peers.length, peers };
}

function roomBody(row) {
  const { active_peers, total_peers, peers } = listOf(row.name);
  return {
    name: row.name,
    active_peer_count: active_peers,
    total_peer_count: total_peers,
    max_peers: row.max_peers,
    created_at: row.created_at,
    peers,
  };
}

function checkText(value, field, length) {
  if (typeof value !== "string" || !value.trim() || value.length > length) {
    throw new Refused(422, "invalid_field", `${field} must be a string of 1 to ${length} characters.`);
  }
}

function checkData(value) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refused(422, "invalid_field", "user_data must be an object.");
  }
  if (JSON.stringify(value).length > 16384) {
    throw new Refused(413, "user_data_too_large", "user_data must have at most 16384 bytes.");
  }
}

const joinRoom = db.transaction((roomName, peerId, username, data) => {
  const now = new Date().toISOString();
  sql.addRoom.run(roomName, Number(MAX_PEERS), now);
  const known = sql.peer.get(roomName, peerId);
  if (!known?.is_active && sql.active.get(roomName).n >= sql.room.get(roomName).max_peers) {
    throw new Refused(409, "room_full", "The room is full.");
  }
  const merged = { ...(known ? JSON.parse(known.user_data) : {}), ...data };
  sql.savePeer.run({
    room_name: roomName, peer_id: peerId, username, now, user_data: JSON.stringify(merged),
  });
});

function join_(message, roomName) {
  const { peer_id, username, user_data = {} } = message ?? {};
  checkText(roomName, "room_name", 128);
  checkText(peer_id, "peer_id", 128);
  checkText(username, "username", 64);
  checkData(user_data);
  joinRoom(roomName, peer_id, username, user_data);
}

const mergeData = db.transaction((roomName, peerId, data) => {
  const row = sql.peer.get(roomName, peerId);
  if (!row) throw new Refused(404, "peer_not_found", "There is no such peer.");
  const merged = { ...JSON.parse(row.user_data), ...data };
  sql.saveData.run(JSON.stringify(merged), new Date().toISOString(), roomName, peerId);
  return merged;
});

const app = express();
const http = createServer(app);
const io = new Server(http, {
  pingInterval: Number(PING_SECONDS) * 1000,
  pingTimeout: Number(PONG_SECONDS) * 1000,
  cors: { origin: "*" },
});

const waiting = new Map();
function announce(roomName) {
  const send = () => io.to(roomName).emit("peer_list_updated", listOf(roomName));
  if (!coalesce) return send();
  // The first change goes out at once; those that follow within the time share the next list.
  if (waiting.has(roomName)) {
    waiting.set(roomName, true);
    return;
  }
  waiting.set(roomName, false);
  send();
  const next = () => {
    if (!waiting.get(roomName)) {
      waiting.delete(roomName);
      return;
    }
    waiting.set(roomName, false);
    send();
    setTimeout(next, coalesce);
  };
  setTimeout(next, coalesce);
}

io.on("connection", (socket) => {
  let place = null;

  function on(event, handle) {
    socket.on(event, (message, ack) => {
      try {
        const body = handle(message);
        ack?.({ ok: true, ...body });
      } catch (error) {
        const body = { code: error.code ?? "internal_error", detail: error.message };
        socket.emit(`${event}_error`, body);
        ack?.({ ok: false, ...body });
      }
    });
  }

  function leave() {
    if (!place) return;
    const { roomName, peerId } = place;
    sockets.delete(`${roomName}\n${peerId}`);
    socket.leave(roomName);
    place = null;
    sql.end.run(new Date().toISOString(), roomName, peerId);
    announce(roomName);
  }

  on("join_room", (message) => {
    const roomName = message?.room_name;
    join_(message, roomName);
    if (place && place.roomName !== roomName) leave();
    place = { roomName, peerId: message.peer_id };
    sockets.set(`${roomName}\n${message.peer_id}`, socket);
    socket.join(roomName);
    const list = listOf(roomName);
    socket.emit("join_room_success", { ...list, peer_id: message.peer_id });
    announce(roomName);
    return list;
  });

  on("update_user_data", (message) => {
    if (!place) throw new Refused(409, "not_joined", "Join a room first.");
    checkData(message?.user_data);
    const { roomName, peerId } = place;
    const merged = mergeData(roomName, peerId, message.user_data);
    const body = { room_name: roomName, peer_id: peerId, user_data: merged };
    socket.emit("update_user_data_success", body);
    announce(roomName);
    return body;
  });

  on("leave_room", () => {
    if (!place) throw new Refused(409, "not_joined", "Join a room first.");
    const body = { room_name: place.roomName, peer_id: place.peerId };
    leave();
    socket.emit("leave_room_success", body);
    return body;
  });

  on("signal", (message) => {
    if (!place) throw new Refused(409, "not_joined", "Join a room first.");
    const { to, type, data } = message ?? {};
    checkText(to, "to", 128);
    const target = sockets.get(`${place.roomName}\n${to}`);
    if (!target) throw new Refused(409, "inactive", "The peer is not here.");
    target.emit("signal", { from: place.peerId, room_name: place.roomName, type, data });
    return { status: "delivered", to, type };
  });

  socket.on("disconnect", leave);
});
const sockets = new Map();

app.use(express.json({ limit: "1mb" }));
app.get("/api/webrtc/rooms", (_request, response) => {
  response.json(Object.fromEntries(sql.rooms.all().map((row) => [row.name, roomBody(row)])));
});
app.post("/api/webrtc/rooms/:room/join", (request, response) => {
  const roomName = request.params.room;
  join_(request.body, roomName);
  announce(roomName);
  response.json({ success: true, ...listOf(roomName), peer_id: request.body.peer_id });
});

const TYPES = {
  ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".gif": "image/gif",
  ".webp": "image/webp", ".pdf": "application/pdf", ".doc": "application/msword",
  ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  ".txt": "text/plain",
};
const upload = multer({
  storage: multer.diskStorage({
    destination: uploads,
    filename: (_request, file, done) =>
      done(null, randomUUID() + extname(file.originalname).toLowerCase()),
  }),
  limits: { fileSize: 16 * 1024 * 1024 },
  fileFilter: (_request, file, done) =>
    done(null, extname(file.originalname).toLowerCase() in TYPES),
});
app.post("/api/webrtc/upload", upload.single("file"), (request, response) => {
  const { room_name, peer_id } = request.body;
  const file = request.file;
  if (!file) throw new Refused(415, "file_type_refused", "This type is not accepted.");
  if (!sql.peer.get(room_name, peer_id)) {
    throw new Refused(404, "peer_not_found", "There is no such peer.");
  }
  sql.addFile.run(file.filename, room_name, peer_id, new Date().toISOString());
  const body = {
    success: true,
    filename: file.filename,
    original_filename: file.originalname,
    file_path: `uploads/${file.filename}`,
    file_url: `/uploads/${file.filename}`,
    file_size: file.size,
    content_type: TYPES[extname(file.filename)],
    room_name,
    peer_id,
  };
  io.to(room_name).emit("file_uploaded", body);
  announce(room_name);
  response.json(body);
});
app.use((error, _request, response, _next) => {
  const status = error.status ?? 500;
  response.status(status).json({ detail: error.message, code: error.code ?? "internal_error" });
});

http.listen(Number(PORT), "127.0.0.1");
