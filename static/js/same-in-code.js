// For each action, the line of curl or JavaScript that does the same.

import { isLocked } from "./pass.js";
import { server } from "./server.js";
import { shell } from "./shell-words.js";

// Never the token itself: what is copied from here ends up in shells' histories and in chats.
const TOKEN = isLocked ? ' -H "Authorization: Bearer $TOKEN"' : "";

const json = (value) => JSON.stringify(value);

function post(path, body) {
  const address = shell(server + path);
  if (body === undefined) return `curl -X POST ${address}${TOKEN}`;
  return `curl -X POST ${address}${TOKEN} -H 'Content-Type: application/json' -d ${shell(json(body))}`;
}

const roomPath = (roomName) => `/api/webrtc/rooms/${encodeURIComponent(roomName)}`;
const own = (peerId) => `?peer_id=${encodeURIComponent(peerId)}`;

const CURL = {
  join_room: (data) => post(`${roomPath(data.room_name)}/join`, data),
  leave_room: (_data, me) => post(`${roomPath(me.roomName)}/leave${own(me.peerId)}`),
  update_user_data: (data, me) =>
    post(`${roomPath(me.roomName)}/update-data${own(me.peerId)}`, data),
};
CURL.join = CURL.join_room;
CURL.leave = CURL.leave_room;

/** Return lines that send an event as the page did: `[{ label, code }]`. `me` says who and where. */
export function linesForSent(name, args, me) {
  const values = args.map(json);
  const lines = [{ label: "JavaScript", code: `socket.emit(${[json(name), ...values].join(", ")});` }];
  const curl = me.roomName || name.startsWith("join") ? CURL[name]?.(args[0] ?? {}, me) : null;
  if (curl) lines.push({ label: "curl", code: curl });
  return lines;
}

/** Return the line that receives an event. */
export function linesForReceived(name) {
  return [{ label: "JavaScript", code: `socket.on(${json(name)}, (data) => console.log(data));` }];
}

/** Return the line that uploads a file. */
export function linesForUpload(fileName, roomName, peerId) {
  const field = (key, value) => `-F ${shell(`${key}=${value}`)}`;
  // curl takes a leading “@” or “<” of a plain field for the name of a file; --form-string does not.
  const text = (key, value) => `--form-string ${shell(`${key}=${value}`)}`;
  const file = field("file", `@"${fileName.replaceAll(/[\\"]/g, "\\$&")}"`);
  const form = `${file} ${text("room_name", roomName)} ${text("peer_id", peerId)}`;
  return [{ label: "curl", code: `curl ${shell(`${server}/api/webrtc/upload`)}${TOKEN} ${form}` }];
}

/** Return the line that deletes a file. */
export function linesForDelete(filename, roomName) {
  const path = `${roomPath(roomName)}/files/${encodeURIComponent(filename)}`;
  return [{ label: "curl", code: `curl -X DELETE ${shell(server + path)}${TOKEN}` }];
}
