// A line to a server that a test can cut, hold up and take away.
import net from "node:net";

/** Return `{ url, cut, hold, release, refuse, accept, close, connections }` for the server at `target`. */
export async function proxyTo(target) {
  const { hostname, port } = new URL(target);
  const pairs = new Set();
  let isHeld = false;
  let isRefusing = false;
  const server = net.createServer((near) => {
    if (isRefusing) return void near.destroy();
    const far = net.connect(Number(port), hostname);
    const pair = [near, far];
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of pair) socket.setNoDelay(true).on("error", end).on("close", end);
    near.on("data", (data) => far.write(data));
    far.on("data", (data) => near.write(data));
    if (isHeld) pair.forEach((socket) => socket.pause());
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const each = (act) => pairs.forEach((pair) => pair.forEach(act));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    get connections() {
      return pairs.size;
    },
    /** Lose what is connected, as a network would. */
    cut: () => each((socket) => socket.destroy()),
    /** Let nothing through, until `release`. */
    hold() {
      isHeld = true;
      each((socket) => socket.pause());
    },
    release() {
      isHeld = false;
      each((socket) => socket.resume());
    },
    /** Be away, until `accept`. */
    refuse() {
      isRefusing = true;
      each((socket) => socket.destroy());
    },
    accept: () => (isRefusing = false),
    close() {
      server.close();
      each((socket) => socket.destroy());
    },
  };
}
