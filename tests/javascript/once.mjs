// What a JavaScript client hears of data that wants to be told once, as one line of JSON.
import { io } from "socket.io-client";
import { PresenceClient } from "../../static/client/index.js";

const [url, room] = process.argv.slice(2);
const ada = new PresenceClient(url, { io, peerId: "ada" });
const bob = new PresenceClient(url, { io, peerId: "bob", dataNotices: false });
const until = async (condition) => {
  for (let i = 0; i < 400 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 25));
  return condition();
};
const notices = [];
for (const name of ["user_data_updated", "room_data_updated"]) bob.on(name, () => notices.push(name));
const sees = (n) => until(() => bob.peers.find((peer) => peer.peer_id === "ada")?.user_data.n === n && bob.roomData.n === n);
const report = {};
await bob.join(room);
await ada.join(room);
await ada.update({ n: 1 });
await ada.updateRoomData({ n: 1 });
report.told = await sees(1);
bob.socket.io.engine.close();
await until(() => bob.state !== "joined");
await until(() => bob.state === "joined");
await ada.update({ n: 2 });
await ada.updateRoomData({ n: 2 });
report.again = await sees(2);
report.notices = notices;
ada.close();
bob.close();
console.log(JSON.stringify(report));
