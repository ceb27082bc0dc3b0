// The official Socket.IO client, driven by lines of JSON on standard input:
//   {"emit": name, "args": [...], "ack": number?}   send an event
//   {"auth": {...}}                                 show this when connecting from now on
//   {"drop": true}                                  lose the connection, as a network would
//   {"disconnect": true}                            close the connection and end
// and answering with lines of JSON: {"connected"}, {"ping"}, {"event", "data"}, {"ack", "data"}.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const [url, options] = process.argv.slice(2);
let { auth, ...others } = JSON.parse(options);
const socket = io(url, auth ? { ...others, auth: (give) => give(auth) } : others);
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");

socket.on("connect", () => print({ connected: true, sid: socket.id }));
socket.on("disconnect", (reason) => print({ connected: false, reason }));
socket.on("connect_error", (error) => {
  if (error.data) print({ event: "connect_error", data: error.data });
});
socket.io.on("ping", () => print({ ping: true }));
socket.onAny((event, data) => print({ event, data: data ?? null }));

createInterface({ input: process.stdin })
  .on("line", (text) => {
    const line = JSON.parse(text);
    if (line.auth) auth = line.auth;
    else if (line.drop) socket.io.engine.close();
    else if (line.disconnect) {
      socket.disconnect();
      setTimeout(() => process.exit(0), 100);
    } else if (line.ack) {
      socket.emit(line.emit, ...line.args, (data) => print({ ack: line.ack, data }));
    } else {
      socket.emit(line.emit, ...line.args);
    }
  })
  .on("close", () => process.exit(0));
