// The page's connection: one client, kept connected, with words for the state it is in.

import { PresenceClient } from "../client/index.js";
import { askForToken, isAboutToken, isLocked, isReady, pass } from "./pass.js";

const RETRY_MS = 3000;
const WORDS = {
  idle: ["lost", "Not connected"],
  connecting: ["connecting", "Connecting…"],
  connected: ["live", "Live"],
  joined: ["live", "Live"],
  reconnecting: ["lost", "Connection lost. Reconnecting…"],
  closed: ["off", "Not live"],
};

/**
 * Return a client that connects by itself and stays connected, and shows so in the page.
 *
 * `onSocket` gets the socket before it connects; `onConnected` is called after every connection.
 */
export function connectPage({ onSocket = () => {}, onConnected, ...options }) {
  const client = new PresenceClient(undefined, {
    ...options,
    token: isLocked ? pass.token : undefined,
    io(address, settings) {
      const socket = globalThis.io(address, settings);
      onSocket(socket);
      socket.on("connect", () => onConnected(socket));
      return socket;
    },
  });
  client.on("state", show);
  client.on("error", refused);
  if (isReady) connect(client);
  return client;
}

async function connect(client) {
  try {
    await client.connect();
  } catch (error) {
    show("idle", error.detail);
    if (refused(error)) return;
    setTimeout(() => connect(client), RETRY_MS);
  }
}

/** Ask for another token if the server does not take this one; return whether that is so. */
function refused({ code, detail }) {
  if (isAboutToken(code)) askForToken(detail);
  return isAboutToken(code);
}

function show(state, detail) {
  const box = document.getElementById("connection");
  const [kind, words] = WORDS[state] ?? WORDS.idle;
  if (box.dataset.state !== kind) box.dataset.state = kind;
  box.title = detail ?? "";
  const place = box.querySelector("[data-words]");
  if (place.textContent !== words) place.textContent = words;
}
