// A room's people, and a button that waves to them.
//   npm install socket.io-client <path to static/client/>
// For calls install react-native-webrtc too, and give the client its RTCPeerConnection:
//   import { RTCPeerConnection } from "react-native-webrtc";
//   new PresenceClient(SERVER, { io, RTCPeerConnection })
import React, { useEffect, useState } from "react";
import { Button, FlatList, SafeAreaView, Text } from "react-native";
import { io } from "socket.io-client";
import { PresenceClient } from "presence-client";

const SERVER = "http://127.0.0.1:3001";

// For a locked server give it a token, or a function that fetches one, and its peerId.
export default function App({ server = SERVER, room = "demo", username = "Phone", token, peerId }) {
  const [client] = useState(() => new PresenceClient(server, { io, username, token, peerId }));
  const [peers, setPeers] = useState([]);
  const [notice, setNotice] = useState("");

  useEffect(() => {
    const stops = [
      client.on("peers", setPeers),
      client.on("broadcast", ({ from, event }) => event === "wave" && setNotice(`${from} waves`)),
      client.on("state", (state) => state === "reconnecting" && setNotice("Reconnecting …")),
      client.on("joined", () => setNotice("")),
    ];
    client
      .join(room, { userData: { platform: "mobile" } })
      .catch((error) => setNotice(error.detail));
    return () => {
      stops.forEach((stop) => stop());
      client.close();
    };
  }, [client, room]);

  const wave = () =>
    client.broadcast("wave").then(
      () => setNotice("You waved"),
      (error) => setNotice(error.detail),
    );

  // In React Native a picked file is uploaded as { uri, type, name }:
  //   await client.upload({ uri: picked.uri, type: picked.type, name: picked.name });
  return (
    <SafeAreaView>
      <FlatList
        data={peers}
        keyExtractor={(peer) => peer.peer_id}
        renderItem={({ item }) => (
          <Text>
            {item.username}: {item.is_active ? "here" : "away"}
          </Text>
        )}
      />
      <Button title="Wave" onPress={wave} />
      <Text>{notice}</Text>
    </SafeAreaView>
  );
}
