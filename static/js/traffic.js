// What a socket sends and receives, as it goes over the wire: the console's source.

// Socket.IO's packet types that carry events and their acknowledgements; 5 and 6 are binary ones.
const EVENT = "2";
const ACK = "3";
const PACKET = /^([23])(?:\/[^,]*,)?(\d*)(\[[^]*)$/;
const NAME = /^\[("(?:[^"\\]|\\.)*")/;

/**
 * Call `tell` with every event and acknowledgement of a socket, now and after it reconnects.
 *
 * An entry has `at`, `direction` (“in”, “out” or “note”), `name`, `isAck`, the `request` that an
 * acknowledgement answers, and `text`, the JSON of the arguments, which is not parsed here: there may
 * be hundreds a second.
 */
export function listenToTraffic(socket, tell) {
  // The entry that an acknowledgement answers: by its id, apart for each direction.
  const asked = { in: new Map(), out: new Map() };

  function packet(direction, { type, data }) {
    if (type !== "message" || typeof data !== "string") return;
    const [, kind, id, text] = PACKET.exec(data) ?? [];
    if (kind === EVENT) {
      const [start = "[", quoted = '"?"'] = NAME.exec(text) ?? [];
      const name = JSON.parse(quoted);
      const rest = text.slice(start.length);
      const item = entry(direction, name, `[${rest.replace(/^,/, "")}`);
      if (id) asked[direction].set(id, item);
      tell(item);
    } else if (kind === ACK) {
      const answered = asked[direction === "in" ? "out" : "in"];
      const request = answered.get(id);
      answered.delete(id);
      tell({ ...entry(direction, request?.name ?? "?", text), isAck: true, request });
    }
  }

  const attach = () => {
    const { engine } = socket.io;
    engine.on("packet", (item) => packet("in", item));
    engine.on("packetCreate", (item) => packet("out", item));
  };
  socket.io.on("open", attach);
  socket.on("connect", () => tell(entry("note", `connected as ${socket.id}`)));
  socket.on("disconnect", (reason) => {
    asked.out.clear();
    asked.in.clear();
    tell(entry("note", `disconnected: ${reason}`));
  });
  socket.on("connect_error", (error) => tell(entry("note", `no connection: ${error.message}`)));
}

/** Return an entry that happens now. */
export function entry(direction, name, text = "[]") {
  return { at: new Date(), direction, name, text, isAck: false };
}
