// A room's page: one client for everything on it, and the parts that use it.

import { startCall } from "./call.js";
import { connectPage } from "./connection.js";
import { startConsole } from "./console.js";
import { startData } from "./data-editor.js";
import { startJoining } from "./joining.js";
import { refresher } from "./refresh.js";
import "./times.js";
import { listenToTraffic } from "./traffic.js";
import { startUploads } from "./uploads.js";

const main = document.getElementById("main");
const roomName = main.dataset.room;
const changed = refresher("room-changed");

const room = { name: roomName, changed };
const client = connectPage({
  onSocket(socket) {
    socket.on("room_changed", changed);
    listenToTraffic(socket, (entry) => room.log(entry));
  },
  onConnected(socket) {
    socket.emit("watch", { room_name: roomName });
    changed();
  },
});

room.client = client;
room.log = startConsole(room);
startJoining(room);
startData(room);
startCall(room);
startUploads(room, Number(main.dataset.maxUpload));
