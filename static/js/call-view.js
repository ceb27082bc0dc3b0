// How the stage stands on the page: over all of it, or folded to a bar while one looks at the room.

const IN_FIELD = "input, textarea, select, [contenteditable]";

/** Make the stage's window work: folding, its sides, its buttons and its keys. */
export function startView(stage) {
  const get = (id) => document.getElementById(id);
  const sides = { "call-chat": get("chat-side"), "call-lines": get("lines-side") };
  const unread = get("chat-unread");
  let isOn = false;
  let isMoving = false;
  let missed = 0;
  let linesOpen = () => {};

  function open() {
    isOn = true;
    move(() => stage.showModal());
    stage.classList.remove("folded");
    get("call-microphone").focus();
  }

  /** Let the rest of the room be seen; the call goes on in a bar. */
  function fold() {
    if (!isOn) return;
    turn(null);
    stage.classList.add("folded");
    move(() => stage.show());
    get("stage-open").focus();
  }

  function close() {
    isOn = false;
    turn(null);
    if (stage.open) stage.close();
    stage.classList.remove("folded");
    missed = 0;
    showMissed();
  }

  function move(show) {
    isMoving = true;
    if (stage.open) stage.close();
    show();
    isMoving = false;
  }

  /** Open one side, and close the other; or with null both. */
  function turn(id) {
    for (const [name, side] of Object.entries(sides)) {
      side.hidden = name !== id;
      get(name).setAttribute("aria-expanded", name === id);
    }
    linesOpen(id === "call-lines");
    if (id === "call-chat") {
      missed = 0;
      showMissed();
      get("chat-text").focus();
    }
  }

  function showMissed() {
    unread.hidden = missed === 0;
    unread.textContent = `${missed} new`;
  }

  const openSide = () => Object.keys(sides).find((id) => !sides[id].hidden) ?? null;

  function closeSide() {
    const id = openSide();
    turn(null);
    get(id)?.focus();
  }

  for (const id of Object.keys(sides)) {
    get(id).addEventListener("click", () => {
      if (stage.classList.contains("folded")) open();
      if (openSide() === id) closeSide();
      else turn(id);
    });
    sides[id].querySelector(".side-close").addEventListener("click", closeSide);
  }
  get("stage-fold").addEventListener("click", fold);
  get("stage-open").addEventListener("click", open);
  stage.addEventListener("cancel", (event) => {
    event.preventDefault();
    if (openSide()) closeSide();
    else fold();
  });
  // A browser that is asked twice closes it whatever we say.
  stage.addEventListener("close", () => isOn && !isMoving && !stage.open && fold());

  return {
    open,
    close,
    /** Somebody wrote in the chat. */
    wrote() {
      if (openSide() === "call-chat") return;
      missed += 1;
      showMissed();
    },
    /** Show that something is switched off, and what the button does now. */
    off(id, isOff, words) {
      get(id).classList.toggle("off", isOff);
      get(id).querySelector("span").textContent = words;
    },
    /** Show that something is on. */
    on(id, isOn, words) {
      get(id).classList.toggle("on", isOn);
      get(id).querySelector("span").textContent = words;
    },
    whenLinesOpen(listener) {
      linesOpen = listener;
    },
    /** Do something when a key is pressed on the stage, but in no field. */
    keys(deeds) {
      stage.addEventListener("keydown", (event) => {
        const { key, target, repeat } = event;
        if (event.ctrlKey || event.metaKey || event.altKey || repeat || target.closest(IN_FIELD)) return;
        deeds[key.toLowerCase()]?.();
      });
    },
  };
}
