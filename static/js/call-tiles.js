// The pictures of a call, each in a tile with a name.

/** Keep tiles in `list`, by a key of one's own. */
export function tiles(list) {
  const shown = new Map();
  let silent = false;

  function remove(key) {
    const tile = shown.get(key);
    if (!tile) return;
    tile.querySelector("video").srcObject = null;
    tile.remove();
    shown.delete(key);
  }

  return {
    /** Tell whether no picture of a person moved since this was asked last. */
    isStill(start) {
      let still = true;
      for (const [key, tile] of shown) {
        if (!key.startsWith(start)) continue;
        const frames = tile.querySelector("video").getVideoPlaybackQuality().totalVideoFrames;
        if (Number(tile.dataset.frames ?? -1) !== frames) still = false;
        tile.dataset.frames = frames;
      }
      return still;
    },
    /** Say under every picture of a person, by the start of their keys, what keeps it from moving. */
    note(start, words) {
      for (const [key, tile] of shown) {
        if (!key.startsWith(start)) continue;
        tile.classList.toggle("away", words !== "");
        const place = tile.querySelector(".tile-note");
        const text = words && ` · ${words}`;
        if (place.textContent !== text) place.textContent = text;
      }
    },
    add(key, stream, name, { own = false, kind = "" } = {}) {
      remove(key);
      const tile = document.createElement("li");
      tile.className = `tile${own ? " own" : ""}${kind ? ` ${kind}` : ""}`;
      const video = document.createElement("video");
      video.autoplay = true;
      video.playsInline = true;
      video.muted = own || silent;
      video.srcObject = stream;
      video.setAttribute("aria-label", own ? "Your picture" : `Picture of ${name}`);
      // Without it, a browser that wants a click first would show nothing at all.
      video.play().catch(() => (video.controls = true));
      const label = document.createElement("p");
      const isolated = document.createElement("bdi");
      isolated.textContent = name;
      const note = document.createElement("span");
      note.className = "tile-note";
      label.append(isolated, note);
      tile.append(video, label);
      list.append(tile);
      shown.set(key, tile);
    },
    remove,
    removeAll(start) {
      for (const key of [...shown.keys()]) if (key.startsWith(start)) remove(key);
    },
    clear() {
      for (const key of [...shown.keys()]) remove(key);
    },
    silence(off) {
      silent = off;
      for (const tile of shown.values()) {
        if (!tile.classList.contains("own")) tile.querySelector("video").muted = off;
      }
    },
  };
}
