// The doctor's WebRTC checks: two ends within the page, and what STUN and TURN servers give.

import { headers } from "./pass.js";
import { base } from "./server.js";

const PATIENCE_MS = 8000;

/** Connect two ends within this page by a data channel. */
export async function checkWebRtc() {
  if (!globalThis.RTCPeerConnection) throw new Error("This browser has no RTCPeerConnection.");
  const [left, right] = [new RTCPeerConnection(), new RTCPeerConnection()];
  try {
    const began = performance.now();
    left.onicecandidate = ({ candidate }) => candidate && right.addIceCandidate(candidate);
    right.onicecandidate = ({ candidate }) => candidate && left.addIceCandidate(candidate);
    const channel = left.createDataChannel("doctor");
    const heard = new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error("No connection within 8 s.")), PATIENCE_MS);
      right.ondatachannel = (event) => (event.channel.onmessage = resolve);
      channel.onopen = () => channel.send("hello");
    });
    await left.setLocalDescription();
    await right.setRemoteDescription(left.localDescription);
    await right.setLocalDescription();
    await left.setRemoteDescription(right.localDescription);
    await heard;
    return { state: "ok", found: `A message crossed after ${Math.round(performance.now() - began)} ms.` };
  } finally {
    left.close();
    right.close();
  }
}

/** Ask the server for its ICE servers and gather candidates with them. */
export async function checkIce({ roomName, peerId }) {
  if (!globalThis.RTCPeerConnection) throw new Error("This browser has no RTCPeerConnection.");
  const query = new URLSearchParams({ room_name: roomName, peer_id: peerId });
  const response = await fetch(`${base}/api/webrtc/ice-servers?${query}`, { headers: headers() });
  if (!response.ok) throw new Error(`The server names none (status ${response.status}).`);
  const { iceServers = [] } = await response.json();
  const urls = iceServers.flatMap((server) => server.urls);
  const hasStun = urls.some((url) => /^stuns?:/.test(url));
  const hasTurn = urls.some((url) => /^turns?:/.test(url));
  if (!hasStun && !hasTurn) {
    return { state: "attention", found: "The server names no STUN or TURN server." };
  }
  const kinds = await gather(iceServers);
  const missing = [];
  if (hasStun && !kinds.has("srflx") && !kinds.has("relay")) missing.push("no address from STUN");
  if (hasTurn && !kinds.has("relay")) missing.push("no relay from TURN");
  const found = `Candidates: ${[...kinds].join(", ") || "none"}.`;
  if (missing.length) throw new Error(`${found} There is ${missing.join(" and ")}.`);
  return { state: hasTurn ? "ok" : "attention", found: hasTurn ? found : `${found} No TURN server is named.` };
}

async function gather(iceServers) {
  const connection = new RTCPeerConnection({ iceServers });
  const kinds = new Set();
  try {
    await new Promise((resolve) => {
      setTimeout(resolve, PATIENCE_MS);
      connection.onicecandidate = ({ candidate }) => {
        if (!candidate) resolve();
        else if (candidate.type) kinds.add(candidate.type);
      };
      connection.createDataChannel("doctor");
      connection.setLocalDescription();
    });
  } finally {
    connection.close();
  }
  return kinds;
}
