import { Peer } from "peerjs";

const camera = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
const peer = new Peer({ host: "127.0.0.1", port: 9000, path: "/" });
const videos = {};
const show = (call) => call.on("stream", (stream) => {
  videos[call.peer] ??= document.body.appendChild(document.createElement("video"));
  Object.assign(videos[call.peer], { srcObject: stream, autoplay: true });
});
peer.on("call", (call) => (call.answer(camera), show(call)));
peer.on("open", (own) => peer.listAllPeers((ids) => ids.forEach((id) => id !== own && show(peer.call(id, camera)))));
