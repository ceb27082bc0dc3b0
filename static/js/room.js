// A room's page: one client for everything on it, and the parts that use it.

import { connectPage } from "./connection.js";
import { startData } from "./data-editor.js";
import { startJoining } from "./joining.js";
import { refresher } from "./refresh.js";
import "./times.js";
import { startUploads } from "./uploads.js";

const main = document.getElementById("main");
const roomName = main.dataset.room;
const changed = refresher("room-changed");

const client = connectPage({
  onSocket: (socket) => socket.on("room_changed", changed),
  onConnected(socket) {
    socket.emit("watch", { room_name: roomName });
    changed();
  },
});

const room = { client, name: roomName, changed };
startJoining(room);
startData(room);
startUploads(room, Number(main.dataset.maxUpload));
