import { Peer } from "peerjs";

const peer = new Peer({ host: "127.0.0.1", port: 9000, path: "/" });
const show = () => peer.listAllPeers((ids) => (document.body.textContent = ids.join(", ")));
peer.on("open", () => setInterval(show, 1000));
