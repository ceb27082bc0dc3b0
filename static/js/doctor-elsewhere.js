// Runs in a sandboxed frame whose origin is nobody's, and calls the server from there.

(async () => {
  const room = `/api/webrtc/rooms/${encodeURIComponent(document.documentElement.dataset.room)}`;
  const base = new URL(location.href).origin + document.documentElement.dataset.base;
  const tries = {
    REST: () => fetch(`${base}${room}/activity?limit=1`),
    // A JSON body makes the browser ask first, with an OPTIONS request.
    "REST with a JSON body": () =>
      fetch(`${base}${room}/leave?peer_id=nobody-elsewhere`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: "{}",
      }),
    "Socket.IO": () => fetch(`${base}/socket.io/?EIO=4&transport=polling`),
  };
  const refused = [];
  for (const [name, call] of Object.entries(tries)) {
    try {
      // Any readable answer will do; a refused origin gets none.
      const response = await call();
      await response.text();
    } catch {
      refused.push(name);
    }
  }
  parent.postMessage({ doctor: true, origin: globalThis.origin, refused }, "*");
})();
