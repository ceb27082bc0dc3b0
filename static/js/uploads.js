// Files on their way: chosen, dropped or pasted, several at once, each with progress, cancel and an
// outcome. What deleting and looking at them is, stands in files.js.

import { isPassing } from "../client/line.js";
import { startFiles } from "./files.js";
import { linesForUpload } from "./same-in-code.js";
import { entry } from "./traffic.js";

const AT_ONCE = 3;
const DONE_MS = 4000;

/** Make the file chooser, the drop zone and the delete buttons work. */
export function startUploads({ client, name: roomName, changed, log }, maxBytes) {
  const input = document.getElementById("file-input");
  const card = document.getElementById("files-card");
  const drop = document.getElementById("drop");
  const list = document.getElementById("uploads");
  const news = document.getElementById("upload-news");
  const problem = document.getElementById("files-problem");
  const template = document.getElementById("upload-row");
  const waiting = [];
  let running = 0;

  const joined = () => client.roomName === roomName;
  client.on("joined", () => (input.disabled = false));
  client.on("left", () => (input.disabled = true));

  input.addEventListener("change", () => {
    add(input.files);
    input.value = "";
  });

  // Anywhere on the page: the browser would open a file that is dropped beside the card.
  // Dragging over a child leaves its parent, so a counter tells whether it left the whole page.
  let inside = 0;
  const overPage = (event, step) => {
    if (!bringsFiles(event)) return;
    inside += step;
    drop.classList.toggle("over", inside > 0 && joined());
  };
  addEventListener("dragenter", (event) => overPage(event, 1));
  addEventListener("dragleave", (event) => overPage(event, -1));
  addEventListener("dragover", (event) => bringsFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!bringsFiles(event)) return;
    event.preventDefault();
    inside = 0;
    drop.classList.remove("over");
    problem.textContent = joined() ? "" : "Join the room to add files.";
    if (joined()) add(event.dataTransfer.files);
    card.scrollIntoView({ block: "nearest" });
  });

  // A picture from the clipboard has no name of its own; text stays what the field makes of it.
  addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (!pasted.length || !joined()) return;
    event.preventDefault();
    const at = new Date().toTimeString().slice(0, 8).replaceAll(":", ".");
    add(pasted.map((file) => (file.name === "image.png" ? new File([file], `pasted ${at}.png`, { type: file.type }) : file)));
    card.scrollIntoView({ block: "nearest" });
  });

  function add(chosen) {
    problem.textContent = "";
    for (const file of chosen) {
      const item = row(file);
      if (file.size > maxBytes) {
        refuse(item, `Refused. It is larger than the ${fileSize(maxBytes)} that are allowed.`);
      } else {
        waiting.push(item);
      }
    }
    next();
  }

  function row(file) {
    const element = template.content.cloneNode(true).firstElementChild;
    const item = { file, element, abort: new AbortController(), over: false };
    element.querySelector("[data-name]").textContent = file.name;
    element.querySelector("[data-size]").textContent = fileSize(file.size);
    element.querySelector("progress").setAttribute("aria-label", `Upload of ${file.name}`);
    say(item, "Waiting");
    element.querySelector("[data-cancel]").addEventListener("click", () => {
      if (!item.over) cancel(item);
      else remove(item);
    });
    element.querySelector("[data-retry]").addEventListener("click", () => again(item));
    list.append(element);
    return item;
  }

  function next() {
    while (running < AT_ONCE && waiting.length) send(waiting.shift());
  }

  async function send(item) {
    running += 1;
    say(item, "Sending");
    const lines = linesForUpload(item.file.name, roomName, client.peerId);
    logHttp("upload", { file: item.file.name, room_name: roomName, peer_id: client.peerId }, lines);
    const bar = item.element.querySelector("progress");
    try {
      await client.upload(item.file, {
        signal: item.abort.signal,
        onProgress({ loaded, total, isWaiting }) {
          bar.value = total ? loaded / total : 0;
          const share = Math.floor(bar.value * 100);
          if (isWaiting) say(item, `Waiting for the network, ${share} % sent`);
          else say(item, share < 100 ? `Sending, ${share} %` : "Sent; the server is checking it");
        },
      });
      item.over = true;
      bar.value = 1;
      say(item, "Uploaded");
      news.textContent = `${item.file.name} was uploaded.`;
      changed();
      item.element.querySelector("[data-cancel]").hidden = true;
      setTimeout(() => remove(item), DONE_MS);
    } catch (error) {
      if (error.code === "aborted") remove(item);
      else if (isPassing(error) || error.body?.retry_after) refuse(item, `Not sent. ${error.code === "unreachable" ? "The server does not answer." : error.detail}`, true);
      else refuse(item, `Refused. ${error.detail}`);
    } finally {
      running -= 1;
      next();
    }
  }

  function cancel(item) {
    const place = waiting.indexOf(item);
    if (place >= 0) {
      waiting.splice(place, 1);
      remove(item);
    }
    item.abort.abort();
    news.textContent = `${item.file.name} was cancelled.`;
  }

  /** Say why a file is not there; `mayWork` offers to send it again. */
  function refuse(item, reason, mayWork = false) {
    item.over = true;
    item.element.classList.add("refused");
    item.element.querySelector("progress").hidden = true;
    item.element.querySelector("[data-cancel]").textContent = "Dismiss";
    item.element.querySelector("[data-retry]").hidden = !mayWork;
    say(item, reason);
    news.textContent = `${item.file.name}: ${reason}`;
  }

  /** Send a file once more. */
  function again(item) {
    const [bar, button, cancelling] = ["progress", "[data-retry]", "[data-cancel]"].map((one) => item.element.querySelector(one));
    item.over = false;
    item.element.classList.remove("refused");
    bar.hidden = false;
    bar.value = 0;
    cancelling.textContent = "Cancel";
    if (button === document.activeElement) cancelling.focus();
    button.hidden = true;
    say(item, "Waiting");
    waiting.push(item);
    next();
  }

  function remove(item) {
    if (item.element.contains(document.activeElement)) input.focus();
    item.element.remove();
  }

  function logHttp(name, data, lines) {
    log({ ...entry("http", name, JSON.stringify([data])), lines });
  }

  function say(item, words) {
    const place = item.element.querySelector("[data-state]");
    if (place.textContent !== words) place.textContent = words;
  }

  startFiles({ roomName, changed, logHttp, input, news, problem });
}

function bringsFiles({ dataTransfer }) {
  return dataTransfer?.types.includes("Files") ?? false;
}

function fileSize(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  let amount = bytes / 1024;
  const units = ["KiB", "MiB", "GiB"];
  while (amount >= 999.5 && units.length > 1) {
    amount /= 1024;
    units.shift();
  }
  return `${amount.toFixed(amount < 9.95 ? 1 : 0)} ${units[0]}`;
}
