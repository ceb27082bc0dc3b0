// The files that are there: deleting one, with some seconds to take that back, and looking at pictures and PDFs.

import { headers } from "./pass.js";
import { base } from "./server.js";
import { linesForDelete } from "./same-in-code.js";

const UNDO_MS = 5000;

/** Make the tiles of files work. */
export function startFiles({ roomName, changed, logHttp, input, news, problem }) {
  const files = document.getElementById("files");
  const list = document.getElementById("deletions");
  // What is about to be deleted, by its stored name: how to do that now.
  const leaving = new Map();

  const tileOf = (filename) => document.getElementById(`file-${filename.replace(".", "-")}`);

  files.addEventListener("click", (event) => {
    const button = event.target.closest("[data-delete]");
    if (button) withhold(button.dataset.delete, button.closest(".file"));
    const link = event.target.closest("[data-view]");
    // With a key held, a browser opens a tab or a window, as of any link.
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    // Not every browser shows PDFs; where it does not, the file is downloaded.
    if (link.dataset.view === "pdf" && !navigator.pdfViewerEnabled) return;
    event.preventDefault();
    look(link);
  });

  async function look(link) {
    try {
      const { openLightbox } = await import("./lightbox.js");
      openLightbox(files, link);
    } catch {
      // Without the module, as without JavaScript.
      location.assign(link.href);
    }
  }

  // A picture of which there is no thumbnail is shown as any other file is.
  files.addEventListener("error", ({ target }) => showKind(target), true);
  for (const picture of files.querySelectorAll("img")) if (picture.complete && !picture.naturalWidth && picture.currentSrc) showKind(picture);

  function showKind(picture) {
    if (picture.localName !== "img") return;
    const kind = document.createElement("span");
    kind.className = "file-kind";
    kind.ariaHidden = "true";
    kind.textContent = picture.closest("a").pathname.split(".").at(-1);
    picture.replaceWith(kind);
  }

  /** Hide a file, and delete it when nobody has taken that back for some seconds. */
  function withhold(filename, tile) {
    problem.textContent = "";
    const name = tile.querySelector(".file-name").textContent;
    const row = document.createElement("li");
    row.className = "upload";
    const words = document.createElement("p");
    words.className = "upload-name";
    words.append(Object.assign(document.createElement("bdi"), { textContent: name }), " deleted");
    const undo = Object.assign(document.createElement("button"), { type: "button", className: "small", textContent: "Undo" });
    undo.ariaLabel = `Undo: keep ${name}`;
    row.append(words, undo);
    list.append(row);
    const near = nextOf(tile);
    if (tile.contains(document.activeElement)) near.focus();
    tile.hidden = true;
    news.textContent = `${name} was deleted. Undo is above the files.`;

    const finish = () => {
      clearTimeout(timer);
      leaving.delete(filename);
      if (row.contains(document.activeElement)) input.focus();
      row.remove();
    };
    undo.addEventListener("click", () => {
      finish();
      const kept = tileOf(filename);
      if (kept) kept.hidden = false;
      kept?.querySelector("[data-delete]").focus();
      news.textContent = `${name} was kept.`;
    });
    const act = (options) => {
      finish();
      return remove(filename, name, options);
    };
    const timer = setTimeout(act, UNDO_MS);
    leaving.set(filename, act);
  }

  async function remove(filename, name, options = {}) {
    logHttp("delete file", { room_name: roomName, filename }, linesForDelete(filename, roomName));
    const path = `${base}/api/webrtc/rooms/${encodeURIComponent(roomName)}/files/`;
    try {
      const answer = await fetch(path + encodeURIComponent(filename), { method: "DELETE", headers: headers(), ...options });
      if (!answer.ok) return fail(filename, `${name} was not deleted. ${await reasonOf(answer)}`);
      tileOf(filename)?.remove();
      changed();
    } catch {
      fail(filename, `${name} was not deleted: the server does not answer. Try again when it does.`);
    }
  }

  function fail(filename, words) {
    problem.textContent = words;
    const tile = tileOf(filename);
    if (tile) tile.hidden = false;
  }

  // Whoever leaves has had the time to take it back.
  addEventListener("pagehide", () => {
    for (const act of [...leaving.values()]) act({ keepalive: true });
  });
  // The server still shows what is about to go.
  document.addEventListener("htmx:after:swap", () => {
    for (const filename of leaving.keys()) {
      const tile = tileOf(filename);
      if (tile) tile.hidden = true;
    }
  });

  /** Return what the focus goes to from a tile that goes. */
  function nextOf(tile) {
    const shown = [...files.querySelectorAll(".file:not([hidden])")];
    const at = shown.indexOf(tile);
    const near = shown[at + 1] ?? shown[at - 1];
    return near?.querySelector("[data-delete]") ?? near?.querySelector("a") ?? input;
  }
}

/** Return what the server says of a refusal; a proxy's own page says nothing to people. */
async function reasonOf(answer) {
  try {
    return (await answer.json()).detail;
  } catch {
    return `Something between this page and the server answered ${answer.status}.`;
  }
}
