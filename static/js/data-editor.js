// One's own user data as JSON: shown, edited, and saved with the server's answer at the field.

/** Make the editor of one's own user data work. */
export function startData({ client }) {
  const form = document.getElementById("data-form");
  const field = document.getElementById("user-data");
  const problem = document.getElementById("data-problem");
  const hint = document.getElementById("data-hint");
  const revert = document.getElementById("data-revert");
  const usual = hint.textContent;
  // What the server has, as the field would show it.
  let stored = "{}";
  field.value = stored;

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
    stored = text;
    if (!touched) field.value = text;
    else if (dirty()) say("It was changed elsewhere meanwhile; saving replaces that.");
    revert.hidden = !dirty();
  }

  client.on("peers", (peers) => {
    const own = peers.find((peer) => peer.peer_id === client.peerId);
    if (own && client.roomName !== null) take(own.user_data);
  });

  client.on("left", () => {
    stored = field.value = "{}";
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
      const answer = await client.update(data, { replace: true });
      // Whatever was typed while the server was asked stays.
      const untouched = field.value === sent;
      stored = JSON.stringify(answer.user_data, null, 2);
      if (untouched) field.value = stored;
      revert.hidden = !dirty();
      say("Saved. Everybody in the room has it.");
    } catch (error) {
      say(error.detail, true);
      field.focus();
    }
  });
}
