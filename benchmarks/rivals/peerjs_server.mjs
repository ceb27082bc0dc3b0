// PeerJS's own server, as its documentation starts it: it relays offers and candidates, in a
// protocol of its own, and keeps nothing.
import { PeerServer } from "peer";

PeerServer({ port: Number(process.env.PORT), host: "127.0.0.1", path: "/" });
