// One's own screen, as a second picture beside the camera.

/** Return what shares a screen: `begin()` resolves with why it does not, or “”; `changed()` is called when it ends. */
export function shareScreen(changed) {
  let stream = null;

  function end() {
    if (!stream) return;
    for (const track of stream.getTracks()) track.stop();
    stream = null;
    changed();
  }

  return {
    /** Phones have no such thing. */
    isPossible: typeof navigator.mediaDevices?.getDisplayMedia === "function",
    get stream() {
      return stream;
    },
    async begin() {
      let lent = null;
      try {
        // It is encoded anew for each of the others, and letters do not move.
        lent = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { max: 15 } }, audio: true });
      } catch ({ name }) {
        return name === "NotAllowedError" ? "Nothing is shared." : `The screen cannot be shared just now (${name}).`;
      }
      end();
      stream = lent;
      const [track] = lent.getVideoTracks();
      // Letters are to be read, rather than to move smoothly.
      track.contentHint = "detail";
      // The browser has a button of its own.
      track.addEventListener("ended", () => stream === lent && end());
      changed();
      return "";
    },
    end,
  };
}
