"""Pages in a call that send pictures of one colour, and say which colours come in from whom."""

from __future__ import annotations

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.signalling.conftest import NewPage
from tests.signalling.pages import ClientPage

# `painted` makes a picture; `see` says which colours come in from whom, and whether frames do.
PAINT = """() => {
  window.offers = [];
  const signal = client.signal.bind(client);
  client.signal = (to, data, how) => {
    if (how?.type === "offer") offers.push(JSON.stringify(data).length);
    return signal(to, data, how);
  };
  window.painted = (colour) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 48 });
    const context = canvas.getContext("2d");
    const paint = () => {
      context.fillStyle = colour;
      context.fillRect(0, 0, 64, 48);
    };
    paint();
    const timer = setInterval(paint, 100);
    const stream = canvas.captureStream(10);
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => clearInterval(timer));
    return stream;
  };
  window.tone = () => {
    const audio = new AudioContext();
    const oscillator = new OscillatorNode(audio);
    const out = audio.createMediaStreamDestination();
    oscillator.connect(out);
    oscillator.start();
    return out.stream;
  };
  const names = { "255,0,0": "red", "0,255,0": "lime", "0,0,255": "blue", "255,255,0": "yellow" };
  const nearest = (rgb) => names[rgb.map((value) => (value > 127 ? 255 : 0)).join()] ?? "dark";
  const screens = new Map();
  const screen = (stream) => {
    if (!screens.has(stream)) {
      const video = document.createElement("video");
      Object.assign(video, { muted: true, srcObject: stream });
      video.play().catch(() => {});
      screens.set(stream, { video, canvas: new OffscreenCanvas(1, 1), heard: false });
    }
    return screens.get(stream);
  };
  window.see = () => {
    const seen = {};
    for (const connection of window.call?.connections ?? []) {
      if (connection.state !== "connected") continue;
      seen[connection.peerId] = connection.remoteStreams.flatMap((stream) => {
        if (connection.hidden || !stream.getVideoTracks().length) return [];
        const { video, canvas } = screen(stream);
        if (!video.videoWidth) return ["dark"];
        const context = canvas.getContext("2d");
        context.drawImage(video, 0, 0, 1, 1);
        return [nearest([...context.getImageData(0, 0, 1, 1).data.slice(0, 3)])];
      }).sort();
    }
    return seen;
  };
}"""


def open_pages(client_page: NewPage, server: LiveServer, names: list[str]) -> dict[str, ClientPage]:
    pages = {name: client_page(server, patience=2000) for name in names}
    for page in pages.values():
        page.run(PAINT)
    return pages


def sees(page: ClientPage, expected: dict[str, list[str]], seconds: float = 30) -> None:
    try:
        eventually(lambda: page.run("see()") == expected, f"sees {expected}", seconds, 0.1)
    except AssertionError as error:
        raise AssertionError(f"{error}; {page.run('see()')}; {page.connection_states()}") from None
