// The connection of a room's page: one client, kept connected, with words for the state it is in.

import { PresenceClient } from "../client/index.js";
import { CONNECTING, LIVE, LOST, OFF, RETRY_MS, openSocket, refused, show } from "./connection-words.js";
import { isLocked, isReady, pass } from "./pass.js";
import { server } from "./server.js";

/**
 * Return a client that connects by itself and stays connected, and shows so in the page.
 *
 * `onSocket` gets the socket before it connects; `onConnected` is called after every connection.
 */
export function connectPage({ onSocket = () => {}, onConnected, ...options }) {
  const client = new PresenceClient(server, {
    ...options,
    token: isLocked ? pass.token : undefined,
    io(address, settings) {
      const socket = openSocket(address, settings);
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
