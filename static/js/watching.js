// The connection of the overview: no client, but the line to the server alone, a third of the size.

import { Line } from "../client/line.js";
import { CONNECTING, LIVE, LOST, OFF, RETRY_MS, openSocket, refused, show } from "./connection-words.js";
import { isLocked, isReady, pass } from "./pass.js";
import { base } from "./server.js";

const ANSWER_MS = 10_000;

/** Stay connected, call `changed` whenever the list of rooms did, and show the connection's state. */
export function watchRooms(changed) {
  const token = isLocked ? pass.token : undefined;
  const line = new Line({ origin: location.origin, path: base }, { io: openSocket, token }, {
    up() {
      show(LIVE);
      // Whoever is not answered has lost the line, and asks again on the next.
      line.ask("watch", {}, ANSWER_MS).catch(() => {});
      changed();
    },
    down: () => show(LOST),
    refused(error) {
      show(OFF, error.detail);
      if (!refused(error)) setTimeout(hold, RETRY_MS);
    },
    troubled: refused,
    event: (name) => name === "rooms_changed" && changed(),
    wantsPlace: () => false,
  });

  function hold() {
    show(CONNECTING);
    line.hold();
  }

  if (isReady) hold();
}
