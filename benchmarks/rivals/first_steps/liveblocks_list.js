import { createClient } from "@liveblocks/client";

const client = createClient({ publicApiKey: "pk_of_an_account" });
const { room } = client.enterRoom("studio", { initialPresence: { name: "Ada" } });
const show = (others) => (document.body.textContent = others.map(({ presence }) => presence.name).join(", "));
room.subscribe("others", show);
