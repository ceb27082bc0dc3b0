import { Room } from "livekit-client";

const room = new Room();
const people = () => [room.localParticipant, ...room.remoteParticipants.values()];
const show = () => (document.body.textContent = people().map((one) => one.identity).join(", "));
room.on("participantConnected", show).on("participantDisconnected", show);
await room.connect("ws://127.0.0.1:7880", "a token for this participant");
show();
