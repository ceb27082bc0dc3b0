// Data as JSON, one's own and the room's: shown, edited, and saved with the server's answer at the field.

import { PresenceError } from "../client/index.js";
import { changedNumbers, mayBeRounded, whyNot } from "./exact-numbers.js";
import { sendWithKeys } from "./send-keys.js";

const ROUNDED = "Numbers beyond 2^53 are shown rounded; they stay exact while you leave them alone.";

const LINE = 160;

/** Make the editor of one's own user data work. */
export function startData({ client }) {
  const line = document.querySelector("[data-my-data]");
  const editor = edit("data", "user-data", "own-data", {
    name: "user_data",
    meanwhile: "saving replaces only what you change here.",
    save: async (changed, remove) => (await client.update(changed, { remove })).user_data,
    show(userData) {
      const short = JSON.stringify(userData);
      line.textContent = short.length > LINE ? `${short.slice(0, LINE)}…` : short;
    },
  });
  client.on("peers", (peers) => {
    const own = peers.find((peer) => peer.peer_id === client.peerId);
    if (own && client.roomName !== null) editor.take(own.user_data);
  });
  client.on("left", editor.forget);
}

/** Make the editor of the room's data work: what two people change at once is not lost by either. */
export function startRoomData({ client }) {
  const editor = edit("room-data", "room-data-text", "room-data-edit", {
    name: "room_data",
    meanwhile: "what you leave alone here stays as it is now.",
    async save(changed, remove, known) {
      const answer = await client.updateRoomData((now) => {
        const clashing = [...Object.keys(changed), ...remove].filter((key) => !isSame(known, now, key));
        if (clashing.length > 0) throw conflict(clashing, now);
        return changed;
      }, { remove });
      return answer.room_data;
    },
  });
  client.on("room_data", editor.take);
  client.on("left", editor.forget);
}

/** Return the error that says what others made of keys that were changed here, too. */
function conflict(keys, now) {
  const [key] = keys;
  const value = Object.hasOwn(now, key) ? `is ${JSON.stringify(now[key]).slice(0, LINE)} now` : "is gone";
  const more = keys.length > 1 ? `, and ${keys.length - 1} more` : "";
  const detail = `Somebody else changed what you change: “${key}” ${value}${more}. Save again to replace it.`;
  return Object.assign(new PresenceError("room_data_conflict", detail), { keys, now });
}

function isSame(one, other, key) {
  if (!Object.hasOwn(one, key) || !Object.hasOwn(other, key)) return Object.hasOwn(one, key) === Object.hasOwn(other, key);
  return JSON.stringify(one[key]) === JSON.stringify(other[key]);
}

/** Return the keys of one object that are wanted, and the others of another. */
function only(one, other, wanted) {
  const own = Object.entries(one).filter(([key]) => wanted(key));
  return Object.fromEntries([...Object.entries(other).filter(([key]) => !wanted(key)), ...own]);
}

/**
 * Make an editor of an object work. `save(changed, remove, known)` sends what is different from `known`,
 * which the typed text began with, and resolves with all of it. `take` is given it whenever it is new.
 */
function edit(prefix, fieldId, foldedId, { name, meanwhile, save, show = () => {} }) {
  const get = (id) => document.getElementById(id);
  const [form, problem, hint, revert] = ["form", "problem", "hint", "revert"].map((part) => get(`${prefix}-${part}`));
  const field = get(fieldId);
  const folded = get(foldedId);
  const usual = hint.textContent;
  // What the server has, as the field would show it.
  let stored = "{}";
  // What the text in the field was made from: what is typed is compared with it.
  let base = {};
  let baseText = stored;
  field.value = stored;
  sendWithKeys(form);

  // What is wanted of whoever unfolds it is to type.
  folded.addEventListener("toggle", () => folded.open && field.focus());

  const dirty = () => field.value !== baseText;

  function say(words, wrong = false) {
    problem.textContent = wrong ? words : "";
    hint.textContent = wrong ? "" : words;
    if (wrong) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }

  function keep(data) {
    stored = JSON.stringify(data, null, 2);
    show(data);
  }

  /** Put what the server has in the field. */
  function fill(data) {
    base = data;
    baseText = stored;
    if (field.value !== stored) field.value = stored;
    revert.hidden = true;
  }

  function take(data) {
    const text = JSON.stringify(data, null, 2);
    if (text === stored) return;
    const touched = dirty() && field.value !== text;
    keep(data);
    if (!touched) {
      fill(data);
      if (mayBeRounded(data)) say(ROUNDED);
    } else if (!problem.textContent) say(`It was changed elsewhere meanwhile; ${meanwhile}`);
  }

  function forget() {
    keep({});
    fill({});
    folded.open = false;
    say(usual);
  }

  field.addEventListener("input", () => {
    revert.hidden = !dirty() && baseText === stored;
    if (field.hasAttribute("aria-invalid")) say(usual);
  });

  revert.addEventListener("click", () => {
    fill(JSON.parse(stored));
    say(usual);
    field.focus();
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sent = field.value;
    try {
      const data = parsed(sent);
      const now = await send(data, sent);
      keep(now);
      // Whatever was typed while the server was asked stays.
      if (field.value === sent) fill(now);
      else [base, baseText] = [data, sent];
      say("Saved. Everybody in the room has it.");
    } catch (error) {
      // Whoever was told what it is now, and saves all the same, means it.
      if (error.now) base = only(error.now, base, (key) => error.keys.includes(key));
      say(error.detail, true);
      field.focus();
    }
  });

  function parsed(text) {
    let data;
    try {
      data = JSON.parse(text);
    } catch (error) {
      throw new PresenceError("invalid_field", `This is not JSON yet: ${error.message}`);
    }
    if (data !== null && typeof data === "object" && !Array.isArray(data)) return data;
    throw new PresenceError("invalid_field", `${name} must be an object, in { and }.`);
  }

  /** Send what is different, so that what was left alone stays exactly what it is. */
  function send(data, text) {
    const changed = Object.fromEntries(Object.entries(data).filter(([key]) => !isSame(base, data, key)));
    const shown = new Set(changedNumbers(baseText));
    const numbers = changedNumbers(text);
    // One that was typed, or one that was shown rounded and would be sent so.
    const lost = numbers.find((number) => !shown.has(number)) ?? (mayBeRounded(changed) ? numbers[0] : undefined);
    if (lost !== undefined) throw new PresenceError("inexact_number", whyNot(lost));
    return save(changed, Object.keys(base).filter((key) => !Object.hasOwn(data, key)), base);
  }

  return { take, forget };
}
