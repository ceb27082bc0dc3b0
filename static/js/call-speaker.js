// Where the others are heard: on the speaker that was chosen, if the browser lets one choose.

const KEY = "presence-speaker";
// Whatever the system uses.
const USUAL = "";
const UNREAL = new Set(["", "default", "communications"]);

/** Make the choice of a speaker work; `use(id)` has the pictures be heard there. Returns `{ show }`. */
export function startSpeaker(use) {
  const select = document.getElementById("preview-speaker");
  const mayChoose = "setSinkId" in HTMLMediaElement.prototype;
  let chosen = recall();
  use(chosen);

  select.addEventListener("change", () => {
    chosen = select.value;
    use(chosen);
    try {
      localStorage.setItem(KEY, chosen);
    } catch {
      // Then it is chosen anew next time.
    }
  });

  return {
    /** Show what there is to choose from; nothing where that is one or none. */
    async show() {
      const all = (mayChoose && (await navigator.mediaDevices?.enumerateDevices().catch(() => []))) || [];
      const found = all.filter(({ kind, deviceId }) => kind === "audiooutput" && !UNREAL.has(deviceId));
      select.parentElement.hidden = found.length === 0;
      const usual = new Option("The usual speaker", USUAL);
      select.replaceChildren(usual, ...found.map(({ deviceId, label }, at) => new Option(label || `Speaker ${at + 1}`, deviceId)));
      select.value = found.some(({ deviceId }) => deviceId === chosen) ? chosen : USUAL;
    },
  };
}

function recall() {
  try {
    return localStorage.getItem(KEY) ?? USUAL;
  } catch {
    return USUAL;
  }
}
