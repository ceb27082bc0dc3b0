// A room's page: one client for everything on it, and the parts that use it.

import { startCall } from "./call.js";
import { connectPage } from "./connection.js";
import { startConsole } from "./console.js";
import { startData, startRoomData } from "./data-editor.js";
import { startInvite } from "./invite.js";
import { startJoining } from "./joining.js";
import { startLobby } from "./lobby.js";
import { allows } from "./pass.js";
import { startPeople } from "./people.js";
import { refresher } from "./refresh.js";
import { startRefusals } from "./refusals.js";
import "./times.js";
import { listenToTraffic } from "./traffic.js";
import { startUploads } from "./uploads.js";
import { startWhiteboard } from "./whiteboard.js";

// How long nobody touches the page until the others see “away from keyboard”.
const IDLE_MS = 5 * 60_000;

const main = document.getElementById("main");
const roomName = main.dataset.room;
const changed = refresher("room-changed");

startRefusals(main);
const room = { name: roomName, changed };
let isWatching = true;
const client = connectPage({
  states: true,
  // Of data the changes of the list tell, too, and a page has no use for hearing it twice.
  dataNotices: false,
  idleAfter: allows("update") ? IDLE_MS : 0,
  onSocket(socket) {
    socket.on("room_changed", changed);
    // Whoever may not watch any more is told so once, and the page with it.
    socket.on("watch_error", changed);
    // Those of before one came, too, which the client leaves out.
    socket.on("broadcast", (body) => room.hear(body));
    listenToTraffic(socket, (entry) => room.log(entry));
  },
  onConnected(socket) {
    socket.emit("watch", { room_name: roomName }, ({ ok }) => {
      isWatching = ok;
    });
    changed();
  },
});

// A room with a lobby is watched by nobody who had to wait, but who is in it hears its lists.
client.on("peers", () => isWatching || changed());
room.client = client;
room.log = startConsole(room);
startPeople(room);
startJoining(room);
startInvite(room);
startLobby(room);
startData(room);
startRoomData(room);
startCall(room);
room.hear = startWhiteboard(room);
startUploads(room, Number(main.dataset.maxUpload));
