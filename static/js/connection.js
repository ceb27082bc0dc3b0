// The page's connection: one client, kept connected, with words for the state it is in.

import { PresenceClient } from "../client/index.js";
import { askForToken, isAboutToken, isLocked, isReady, pass } from "./pass.js";
import { server } from "./server.js";

const RETRY_MS = 3000;
const CONNECTING = ["connecting", "Connecting…"];
const LIVE = ["live", "Live"];
const LOST = ["lost", "Connection lost. Reconnecting…"];
const OFF = ["lost", "Not connected"];

/**
 * Return a client that connects by itself and stays connected, and shows so in the page.
 *
 * `onSocket` gets the socket before it connects; `onConnected` is called after every connection.
 */
export function connectPage({ onSocket = () => {}, onConnected, ...options }) {
  const client = new PresenceClient(server, {
    // As a stock client hears it: the console shows what goes over the wire.
    updates: "list",
    ...options,
    token: isLocked ? pass.token : undefined,
    io(address, settings) {
      const socket = globalThis.io(address, settings);
      onSocket(socket);
      socket.on("connect", () => onConnected(socket));
      return socket;
    },
  });
  client.on("connected", () => show(LIVE));
  client.on("disconnected", () => show(LOST));
  client.on("error", (error) => {
    if (refused(error) || client.connected || client.socket) return;
    // A server that would not have us a moment ago, half started perhaps, may have us soon.
    show(OFF, error.detail);
    later();
  });

  let timer = null;

  async function connect() {
    show(CONNECTING);
    try {
      await client.connect();
    } catch (error) {
      show(OFF, error.detail);
      if (!refused(error)) later();
    }
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(connect, RETRY_MS);
  }

  if (isReady) connect();
  return client;
}

/** Ask for another token if the server does not take this one; return whether that is so. */
function refused({ code, detail }) {
  if (isAboutToken(code)) askForToken(detail);
  return isAboutToken(code);
}

function show([kind, words], detail) {
  const box = document.getElementById("connection");
  if (box.dataset.state !== kind) box.dataset.state = kind;
  box.title = detail ?? "";
  const place = box.querySelector("[data-words]");
  if (place.textContent !== words) place.textContent = words;
}
