// Socket.IO's own server on Node, relaying where everybody's cursor is to everybody else in one room,
// each message by itself. What a slow reader cannot take at once is dropped (“volatile”).
import { createServer } from "node:http";
import { Server } from "socket.io";

const { PORT, PING_SECONDS = "25", PONG_SECONDS = "60" } = process.env;
const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  pingInterval: Number(PING_SECONDS) * 1000,
  pingTimeout: Number(PONG_SECONDS) * 1000,
});

io.on("connection", (socket) => {
  socket.join("board");
  socket.on("state", (state) => socket.to("board").volatile.emit("state", { peer: socket.id, ...state }));
});
http.listen(Number(PORT), "127.0.0.1");
