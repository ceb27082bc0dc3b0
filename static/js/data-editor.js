// One's own user data as JSON: shown, edited, and saved with the server's answer at the field.

import { PresenceError } from "../client/index.js";
import { changedNumbers, mayBeRounded, whyNot } from "./exact-numbers.js";

const ROUNDED = "Numbers beyond 2^53 are shown rounded; they stay exact while you leave them alone.";

const LINE = 160;

/** Make the editor of one's own user data work. */
export function startData({ client }) {
  const form = document.getElementById("data-form");
  const field = document.getElementById("user-data");
  const problem = document.getElementById("data-problem");
  const hint = document.getElementById("data-hint");
  const revert = document.getElementById("data-revert");
  const line = document.querySelector("[data-my-data]");
  const usual = hint.textContent;
  // What the server has, and as the field would show it.
  let known = {};
  let stored = "{}";
  field.value = stored;

  const folded = document.getElementById("own-data");
  // What is wanted of whoever unfolds it is to type.
  folded.addEventListener("toggle", () => folded.open && field.focus());

  const dirty = () => field.value !== stored;

  function say(words, wrong = false) {
    problem.textContent = wrong ? words : "";
    hint.textContent = wrong ? "" : words;
    if (wrong) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }

  function take(userData) {
    const text = JSON.stringify(userData, null, 2);
    if (text === stored) return;
    const touched = dirty();
    keep(userData);
    if (!touched) {
      field.value = text;
      if (mayBeRounded(userData)) say(ROUNDED);
    } else if (dirty()) say("It was changed elsewhere meanwhile; saving replaces that.");
    revert.hidden = !dirty();
  }

  function keep(userData) {
    known = userData;
    stored = JSON.stringify(userData, null, 2);
    const short = JSON.stringify(userData);
    line.textContent = short.length > LINE ? `${short.slice(0, LINE)}…` : short;
  }

  client.on("peers", (peers) => {
    const own = peers.find((peer) => peer.peer_id === client.peerId);
    if (own && client.roomName !== null) take(own.user_data);
  });

  client.on("left", () => {
    keep({});
    field.value = stored;
    say(usual);
  });

  field.addEventListener("input", () => {
    revert.hidden = !dirty();
    if (field.hasAttribute("aria-invalid")) say(usual);
  });

  revert.addEventListener("click", () => {
    field.value = stored;
    revert.hidden = true;
    say(usual);
    field.focus();
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let data;
    try {
      data = JSON.parse(field.value);
    } catch (error) {
      say(`This is not JSON yet: ${error.message}`, true);
      field.focus();
      return;
    }
    try {
      const sent = field.value;
      const answer = await save(data, sent);
      // Whatever was typed while the server was asked stays.
      const untouched = field.value === sent;
      keep(answer.user_data);
      if (untouched) field.value = stored;
      revert.hidden = !dirty();
      say("Saved. Everybody in the room has it.");
    } catch (error) {
      say(error.detail, true);
      field.focus();
    }
  });

  /** Send what is different, so that what was left alone stays exactly what it is. */
  function save(data, text) {
    if (data === null || typeof data !== "object" || Array.isArray(data)) return client.update(data, { replace: true });
    const isSame = (key) => Object.hasOwn(known, key) && JSON.stringify(known[key]) === JSON.stringify(data[key]);
    const changed = Object.fromEntries(Object.entries(data).filter(([key]) => !isSame(key)));
    const shown = new Set(changedNumbers(stored));
    const numbers = changedNumbers(text);
    // One that was typed, or one that was shown rounded and would be sent so.
    const lost = numbers.find((number) => !shown.has(number)) ?? (mayBeRounded(changed) ? numbers[0] : undefined);
    if (lost !== undefined) throw new PresenceError("inexact_number", whyNot(lost));
    return client.update(changed, { remove: Object.keys(known).filter((key) => !Object.hasOwn(data, key)) });
  }
}
