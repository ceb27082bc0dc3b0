// The screen stays on while one is in a call: a phone would go dark in the middle of a sentence.

/** Return `{ begin, end }`, between which the browser is asked to keep the screen on. */
export function startAwake() {
  let isWanted = false;
  let lock = null;

  async function ask() {
    if (!isWanted || lock || document.hidden) return;
    try {
      lock = await navigator.wakeLock.request("screen");
    } catch {
      // A browser that lends no such thing, or not on an empty battery.
      return;
    }
    lock.addEventListener("release", () => (lock = null));
    if (!isWanted) lock.release();
  }

  // Whoever looks at something else gives it back, and wants it again afterwards.
  document.addEventListener("visibilitychange", ask);

  return {
    begin() {
      isWanted = true;
      ask();
    },
    end() {
      isWanted = false;
      lock?.release();
    },
  };
}
