import { Room } from "livekit-client";

const room = new Room();
room.on("trackSubscribed", (track) => document.body.append(track.attach()));
await room.connect("ws://127.0.0.1:7880", "a token for this participant");
await room.localParticipant.enableCameraAndMicrophone();
