// The pictures of a call, each in a tile with a name and with what is to be known of it, in words.

const PHONE = "(max-width: 40rem)";

/** The key of something of a person, whose keys all begin with `startOf` the person. */
export const keyOf = (peerId, what) => startOf(peerId) + what;
export const startOf = (peerId) => `${JSON.stringify(peerId)} `;

/**
 * Keep tiles: `large` is the list of those that are shown large, `small` of all others. `icons` is the address
 * of the icons, `blocked()` is told when the browser plays no sound before it is clicked.
 */
export function tiles(large, small, icons, blocked) {
  // In the order in which they came.
  const shown = new Map();
  const phone = matchMedia(PHONE);
  let isSilent = false;
  // The one that somebody wants large, and the one who spoke last.
  let pinned = null;
  let speaker = null;
  let speakerId = "";

  function make(key, { own = false, kind = "person" }) {
    const element = document.createElement("li");
    element.className = `tile${kind === "screen" ? " screen" : ""}${own ? " own" : ""}`;
    const video = document.createElement("video");
    Object.assign(video, { autoplay: true, playsInline: true });
    const face = document.createElement("span");
    face.className = "tile-face";
    face.setAttribute("aria-hidden", "true");
    const line = document.createElement("p");
    const name = document.createElement("bdi");
    const notes = document.createElement("span");
    notes.className = "tile-notes";
    line.append(name, notes);
    const pin = document.createElement("button");
    pin.type = "button";
    pin.className = "tile-pin";
    pin.append(icon("larger"), icon("smaller"));
    pin.addEventListener("click", () => {
      pinned = pinned === key ? null : key;
      arrange();
    });
    element.append(video, face, line, pin);
    const tile = { key, kind, own, element, video, face, name, notes, pin, words: "" };
    shown.set(key, tile);
    if (speakerId) direct(tile);
    return tile;
  }

  function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", `icon ${name}`);
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `${icons}#${name}`);
    svg.append(use);
    return svg;
  }

  function play({ video, own }) {
    video.muted = own || isSilent;
    video.play().catch(({ name }) => {
      if (name !== "NotAllowedError") return;
      // Without sound it may.
      video.muted = true;
      video.play().catch(() => {});
      blocked();
    });
  }

  /** Put each where it belongs: screens and whoever is wanted large, the others beside them. */
  function arrange() {
    const all = [...shown.values()];
    const others = all.filter(({ own }) => !own);
    if (!shown.has(pinned)) pinned = null;
    let chosen = others.filter(({ kind }) => kind === "screen").slice(-4);
    if (pinned !== null) chosen = [shown.get(pinned)];
    else if (phone.matches && chosen.length > 0) chosen = chosen.slice(-1);
    else if (phone.matches && all.length > 1) {
      const people = others.filter(({ kind }) => kind === "person");
      chosen = [shown.get(speaker) ?? people[0] ?? all[0]];
    }
    const focused = document.activeElement;
    place(large, all.filter((tile) => chosen.includes(tile)));
    place(small, all.filter((tile) => !chosen.includes(tile)));
    // What is moved loses it.
    if (focused !== document.activeElement && focused?.isConnected) focused.focus();
    for (const tile of all) {
      const isLarge = chosen.includes(tile);
      tile.pin.hidden = all.length < 2 || (isLarge && pinned !== tile.key);
      tile.pin.setAttribute("aria-pressed", pinned === tile.key);
      const words = `${pinned === tile.key ? "Shrink" : "Enlarge"} ${tile.name.textContent}`;
      tile.pin.setAttribute("aria-label", words);
      tile.pin.title = words;
    }
  }

  function place(list, wanted) {
    wanted.forEach(({ element }, at) => {
      if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
    });
  }

  function remove(key) {
    const tile = shown.get(key);
    if (!tile) return;
    tile.video.srcObject = null;
    tile.element.remove();
    shown.delete(key);
    arrange();
  }

  phone.addEventListener("change", arrange);

  /** What is gone since it was chosen is not there to be heard on: then it is the usual one. */
  const direct = ({ video }) => video.setSinkId?.(speakerId).catch(() => {});

  return {
    /**
     * Show a tile: `name`, `face` of which the letters are, `stream` (or null), `isDark` where there is no
     * picture, `notes` as `[[icon, words]]`, `mirrored`, and the `state` of the connection.
     */
    set(key, { name, face = name, stream = null, isDark = false, notes = [], mirrored = false, state = "", ...what }) {
      const isNew = !shown.has(key);
      const tile = shown.get(key) ?? make(key, what);
      const { element, video } = tile;
      if (tile.name.textContent !== name) {
        tile.name.textContent = name;
        tile.face.textContent = initials(face);
        const whose = tile.kind === "screen" ? name : `Picture of ${name}`;
        video.setAttribute("aria-label", tile.own && tile.kind === "person" ? "Your picture" : whose);
      }
      element.classList.toggle("dark", isDark || !stream);
      element.classList.toggle("mirrored", mirrored);
      element.dataset.state = state;
      const words = JSON.stringify(notes);
      if (tile.words !== words) {
        tile.words = words;
        tile.notes.replaceChildren(...notes.map(([sign, text]) => note(sign, text)));
      }
      if (isNew) {
        small.append(element);
        arrange();
      }
      if (video.srcObject !== stream) {
        video.srcObject = stream;
        if (stream) play(tile);
      }
    },
    /** Say who speaks: with an outline, an icon and a word. */
    speaks(key, isSpeaking) {
      const tile = shown.get(key);
      if (!tile || tile.element.classList.contains("speaks") === isSpeaking) return;
      tile.element.classList.toggle("speaks", isSpeaking);
      if (isSpeaking) tile.name.after(spoken());
      else tile.element.querySelector(".tile-speaks")?.remove();
      if (isSpeaking && !tile.own && speaker !== key) {
        speaker = key;
        if (phone.matches) arrange();
      }
    },
    remove,
    removeAll(start) {
      for (const key of [...shown.keys()]) if (key.startsWith(start)) remove(key);
    },
    clear() {
      pinned = speaker = null;
      for (const key of [...shown.keys()]) remove(key);
    },
    /** Tell whether a picture did not move since this was asked last. */
    isStill(key) {
      const tile = shown.get(key);
      const frames = tile?.video.getVideoPlaybackQuality().totalVideoFrames;
      const isStill = tile?.frames === frames;
      if (tile) tile.frames = frames;
      return isStill;
    },
    /** Let sound come out of a device, by its id; “” is the usual one. */
    hearOn(id) {
      speakerId = id;
      for (const tile of shown.values()) direct(tile);
    },
    silence(isOff) {
      isSilent = isOff;
      for (const { own, video } of shown.values()) if (!own) video.muted = isOff;
    },
    /** Somebody has clicked, which lets sound be played. */
    hear() {
      for (const tile of shown.values()) play(tile);
    },
  };

  function note(sign, text) {
    const element = document.createElement("span");
    element.className = "tile-note";
    const words = document.createElement("span");
    words.textContent = text;
    element.append(icon(sign), words);
    return element;
  }

  function spoken() {
    const element = note("speaking", "speaking");
    element.classList.add("tile-speaks");
    return element;
  }
}

function initials(name) {
  const words = name.split(/\s+/).filter(Boolean);
  return words.slice(0, 2).map((word) => [...word][0].toUpperCase()).join("");
}
