// What the page says of its connection, and how it opens one.

import { askForToken, isAboutToken } from "./pass.js";

/** The states a connection is shown in, with their words. */
export const CONNECTING = ["connecting", "Connecting…"];
export const LIVE = ["live", "Live"];
export const LOST = ["lost", "Connection lost. Reconnecting…"];
export const OFF = ["lost", "Not connected"];

/** How long to wait before another attempt, where the server would not have us. */
export const RETRY_MS = 3000;

const OPEN_MS = 8000;
const KEY = "presence-polling-first";
const POLLING_FIRST = ["polling", "websocket"];

/**
 * Return a socket of socket.io-client that begins with WebSocket, which needs one request, not five.
 * Where that does not get through, it begins with polling from then on, as the library does.
 */
export function openSocket(address, settings) {
  const transports = sessionStorage.getItem(KEY) ? POLLING_FIRST : ["websocket", "polling"];
  const socket = globalThis.io(address, { ...settings, transports, timeout: OPEN_MS });
  socket.on("connect_error", () => {
    if (!socket.active) return;
    socket.io.opts.transports = POLLING_FIRST;
  });
  socket.on("connect", () => {
    // Only a server that answers the one and not the other tells anything about WebSocket.
    if (socket.io.opts.transports === POLLING_FIRST && socket.io.engine.transport.name === "polling") {
      sessionStorage.setItem(KEY, "1");
    }
  });
  return socket;
}

/** Show a state of the connection, and why. */
export function show([kind, words], detail) {
  const box = document.getElementById("connection");
  if (box.dataset.state !== kind) box.dataset.state = kind;
  box.title = detail ?? "";
  const place = box.querySelector("[data-words]");
  if (place.textContent !== words) place.textContent = words;
}

/** Ask for another token if the server does not take this one; return whether that is so. */
export function refused({ code, detail }) {
  if (isAboutToken(code)) askForToken(detail);
  return isAboutToken(code);
}
