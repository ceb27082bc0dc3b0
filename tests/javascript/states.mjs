// What JavaScript clients see of each other's states, as one line of JSON.
import { io } from "socket.io-client";
import { PresenceClient } from "../../static/client/index.js";

const [url, room] = process.argv.slice(2);
const ada = new PresenceClient(url, { io, peerId: "ada" });
const bob = new PresenceClient(url, { io, peerId: "bob", states: true });
const until = async (condition) => {
  for (let i = 0; i < 400 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 25));
  return condition();
};
const seen = () => JSON.stringify(bob.states.map(({ peer_id, state }) => [peer_id, state]));
const is = (...states) => seen() === JSON.stringify(states);
const report = {};
let told = 0;
bob.on("states", () => (told += 1));
await ada.join(room);
await bob.join(room);
bob.setState({ own: true });
for (let i = 0; i < 1000; i++) ada.setState({ n: i });
ada.setState({ typing: true });
report.merged = (await until(() => is(["ada", { n: 999, typing: true }]))) || seen();
report.few = told < 10 || told;
ada.socket.io.engine.close();
report.gone = (await until(() => is())) || seen();
report.again = (await until(() => is(["ada", { n: 999, typing: true }]))) || seen();
bob.socket.io.engine.close();
report.back = (await until(() => bob.state === "joined" && is(["ada", { n: 999, typing: true }]))) || seen();
ada.setState(null);
report.cleared = (await until(() => is())) || seen();
ada.setState({ last: 1 });
await until(() => is(["ada", { last: 1 }]));
await ada.leave();
report.left = (await until(() => is())) || seen();
ada.close();
bob.close();
console.log(JSON.stringify(report));
