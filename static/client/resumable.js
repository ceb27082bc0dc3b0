// Uploads that go on where they were when the network comes back: the tus protocol, 1.0.0.
//
// What has come is kept by the server for an hour. Pieces are small enough that a proxy which reads
// them whole before it hands them on costs little when the network goes.

import { PresenceError } from "./base.js";
import { aborted, checked, send } from "./http.js";

/** Files of more bytes than this are sent so. */
export const RESUMABLE_FROM = 1024 * 1024;

const PIECE_BYTES = 4 * 1024 * 1024;
const WAIT_MS = [250, 1000, 2000, 5000];
// The server forgets what has come when nothing came for an hour.
const GIVE_UP_MS = 3_600_000;
// What another attempt may cure: the network, a server that restarts, or a piece that overlapped.
const PASSING = new Set([
  "unreachable",
  "token_failed",
  "upload_locked",
  "upload_offset_wrong",
  "file_check_busy",
  "storage_unavailable",
  "maintenance",
  "shutting_down",
  "too_many_requests",
  "too_many_at_once",
]);

const TUS = { "Tus-Resumable": "1.0.0" };

/**
 * Send a Blob and return what the server answers to an upload.
 *
 * `about` has `filename`, `room_name` and `peer_id`; `headers()` returns those of a request, with a
 * token of now. `onProgress({ loaded, total, isWaiting })` tells of the file's bytes, and whether the
 * network or the server is waited for. Rejects with what the server says, `aborted`, or
 * `unreachable` where it did not answer the very first request or for an hour.
 */
export async function sendResumable(origin, file, about, { headers, onProgress, signal, fetch }) {
  const total = file.size;
  let address = null;

  const ask = async (method, url, options = {}) => {
    const own = { ...(await headers()), ...TUS, ...options.headers };
    if (signal.aborted) throw aborted();
    return send(method, url, { ...options, headers: own, signal, fetch });
  };

  const sendPiece = async (offset) => {
    const answer = await ask("PATCH", address, {
      body: file.slice(offset, offset + PIECE_BYTES),
      headers: { "Content-Type": "application/offset+octet-stream", "Upload-Offset": `${offset}` },
      onProgress: onProgress && (({ loaded }) => onProgress({ loaded: offset + loaded, total, isWaiting: false })),
    });
    return offsetIn(answer);
  };

  const begun = await ask("POST", `${origin}/api/webrtc/uploads`, {
    headers: { "Upload-Length": `${total}`, "Upload-Metadata": metadata(about) },
  });
  if (begun.status !== 201) checked(begun.status, begun.text);
  // By its last part alone: what stands before it may be another on this side of a proxy.
  address = `${origin}/api/webrtc/uploads/${begun.header("Location").split("/").at(-1)}`;

  let offset = 0;
  let attempt = 0;
  let movedAt = Date.now();
  const moved = (to) => {
    if (to > offset) [attempt, movedAt] = [0, Date.now()];
    offset = to;
  };
  let isSure = true;
  for (;;) {
    try {
      if (!isSure) moved(offsetIn(await ask("HEAD", address)));
      isSure = true;
      // At the end an empty piece: it lets the server try again, or say what it made of the file.
      moved(await sendPiece(offset));
      onProgress?.({ loaded: offset, total, isWaiting: false });
      if (offset < total) continue;
      const { status, text } = await ask("GET", address);
      return checked(status, text);
    } catch (error) {
      if (signal.aborted) {
        forget(address, { headers, fetch });
        throw aborted();
      }
      if (!isPassing(error) || Date.now() - movedAt > GIVE_UP_MS) throw error;
      isSure = false;
      onProgress?.({ loaded: offset, total, isWaiting: true });
      await pause(WAIT_MS[Math.min(attempt++, WAIT_MS.length - 1)], signal);
    }
  }
}

/** Tell whether another attempt may cure it: of what stands before a server, its answers of 5xx. */
function isPassing(error) {
  if (!(error instanceof PresenceError)) return false;
  return PASSING.has(error.code) || (error.code === "unreadable_answer" && error.body.status >= 500);
}

/** Return how much the server has, or throw what it says instead. */
function offsetIn({ status, text, header }) {
  const offset = header("Upload-Offset");
  if (status >= 200 && status < 300 && offset !== null) return Number(offset);
  return checked(status, text);
}

/** Let the server forget what has come; if it does not hear of it, that ends by itself. */
async function forget(address, { headers, fetch }) {
  try {
    await send("DELETE", address, { headers: { ...(await headers()), ...TUS }, fetch });
  } catch {
    // The network is away, or the program.
  }
}

/** Write names and values as the protocol has them, the values in Base64 of UTF-8. */
function metadata(values) {
  const inBase64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  return Object.entries(values)
    .map(([name, value]) => `${name} ${inBase64(value)}`)
    .join(",");
}

/** Wait, but no longer than until the network is back or the upload is aborted. */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      globalThis.removeEventListener?.("online", end);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    globalThis.addEventListener?.("online", end);
    signal.addEventListener("abort", end);
  });
}
