// Finding socket.io-client, and asking a socket something that it must answer.

import { PresenceError } from "./base.js";

/** Find socket.io-client: given, loaded by a script tag, or installed as a package. */
export async function findIo(given) {
  const io = given ?? globalThis.io;
  if (io) return io;
  try {
    return (await import("socket.io-client")).io;
  } catch {
    throw new PresenceError(
      "no_socket_io",
      "socket.io-client was not found. Load it with a script tag, install it, or pass it as the option “io”.",
    );
  }
}

/** Return the error for a connection that the server, or what stands before it, refused. */
export function refusalOf(error) {
  const body = error.data ?? answered(error.context?.responseText) ?? {};
  const { code = "refused", detail = error.message } = body;
  return new PresenceError(code, detail, body);
}

/** Read the server's answer to a connection's first request, if it was one. */
function answered(text) {
  try {
    const body = JSON.parse(text);
    return typeof body?.code === "string" ? body : null;
  } catch {
    return null;
  }
}

/** Send an event and return the server's answer; rejects with its error, `timeout` or `connection_lost`. */
export function ask(socket, event, data, milliseconds) {
  return new Promise((resolve, reject) => {
    const fail = (code, detail, body) => reject(new PresenceError(code, detail, body));
    socket.timeout(milliseconds).emit(event, data, (failure, answer) => {
      if (!failure && answer?.ok) resolve(answer);
      else if (!failure) fail(answer?.code, answer?.detail, answer);
      else if (socket.connected) fail("timeout", `The server did not answer ${event} in time.`);
      else {
        const unknown = "it may have arrived or not";
        fail("connection_lost", `The connection was lost before ${event} was answered; ${unknown}.`);
      }
    });
  });
}
