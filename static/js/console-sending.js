// The form of the console that sends any event, with a sample of each to begin with.

import { parseExactly } from "./exact-numbers.js";
import { sendWithKeys } from "./send-keys.js";
import { base } from "./server.js";

/** Make the form work; `news` is where it says what was accepted. */
export function startSending(client, news) {
  const form = document.getElementById("send-form");
  const name = document.getElementById("send-name");
  const to = document.getElementById("send-to");
  const data = document.getElementById("send-data");
  const problem = document.getElementById("send-problem");
  // What the page itself has put into the field, which it may put something else for.
  let given = data.value;
  let samples = null;
  document.getElementById("send-button").disabled = false;
  sendWithKeys(form);

  form.addEventListener("focusin", async () => {
    listPeople();
    if (samples) return;
    samples = {};
    try {
      samples = await (await fetch(`${base}/docs/samples.json`)).json();
    } catch {
      samples = null;
    }
  });
  name.addEventListener("input", sample);
  to.addEventListener("change", address);

  /** Put the sample of the event there, as it would be sent from here, unless something was typed. */
  function sample() {
    const found = structuredClone(samples?.[name.value.trim()]);
    if (!found || (data.value.trim() && data.value !== given)) return;
    const me = {
      room_name: document.getElementById("main").dataset.room,
      peer_id: client.peerId,
      username: document.getElementById("username").value.trim(),
    };
    for (const [key, value] of Object.entries(me)) if (key in found && value) found[key] = value;
    if ("to" in found) found.to = to.value || (others()[0]?.peer_id ?? found.to);
    put(found);
  }

  /** Send it to somebody: of what goes to everybody a signal is made. */
  function address() {
    if (!to.value) return;
    let value = {};
    try {
      value = parseExactly(data.value || "{}");
    } catch {
      // What cannot be read yet is what is to be sent, perhaps: it is left alone.
      return;
    }
    if (value?.to === undefined) {
      name.value = "signal";
      value = { to: to.value, type: value?.event ?? "note", data: value?.data ?? { text: "hello" } };
    }
    put({ ...value, to: to.value });
  }

  function put(value) {
    given = JSON.stringify(value);
    data.value = given;
  }

  const others = () => client.activePeers.filter((peer) => peer.peer_id !== client.peerId);

  function listPeople() {
    const chosen = to.value;
    const options = others().map(({ peer_id: id, username }) => new Option(username, id));
    to.replaceChildren(new Option("everybody", ""), ...options);
    to.value = options.some(({ value }) => value === chosen) ? chosen : "";
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    problem.textContent = "";
    data.removeAttribute("aria-invalid");
    let value;
    try {
      value = data.value.trim() ? parseExactly(data.value) : {};
    } catch (error) {
      problem.textContent = error instanceof SyntaxError ? `This is not JSON yet: ${error.message}` : error.message;
      data.setAttribute("aria-invalid", "true");
      data.focus();
      return;
    }
    if (!client.socket?.connected) {
      problem.textContent = "There is no connection just now. Send it again when it is back.";
      return;
    }
    const answered = (answer) => {
      news.textContent = answer?.ok ? `${name.value} was accepted.` : "";
      problem.textContent = answer?.ok ? "" : (answer?.detail ?? "");
    };
    send(client, name.value.trim(), value, answered);
  });
}

function send(client, name, value, answered) {
  const { room_name, peer_id, username, user_data, password } = value ?? {};
  if (/^join(_room)?$/.test(name) && room_name && peer_id && username) {
    // The client takes a join that it did not ask for as one of before a loss, and undoes it.
    client
      .join(room_name, { peerId: peer_id, username, userData: user_data, password })
      .then(answered, ({ detail }) => answered({ ok: false, detail }));
  } else {
    client.socket.emit(name, value, answered);
  }
}
