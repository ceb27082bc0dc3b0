// What the server does not show to this visitor: said on the page, in the place of what is hidden.

import { allows, coversRoom } from "./pass.js";

/** Return what is said of a ban to whom it is about: the server's own words are for programs. */
function ofBan({ until, reason }) {
  const end = until ? new Date(until).toLocaleString([], { dateStyle: "short", timeStyle: "short" }) : "further notice";
  return `You are banned from this room until ${end}.${reason ? ` The reason given: ${reason}` : ""}`;
}

/** Say why the room's people, files and activity are not shown, whenever the server does not. */
export function startRefusals(main) {
  const words = document.getElementById("shut");

  function show(problem) {
    const isShut = problem !== null;
    words.hidden = !isShut;
    if (!isShut) return void delete main.dataset.shut;
    const why = problem.code === "banned" ? ofBan(problem) : problem.detail;
    if (words.textContent !== why) words.textContent = why;
    // A token without the right to look may be one to join with.
    const mayJoin = problem.code === "not_admitted" || (allows("join") && coversRoom(main.dataset.room));
    main.dataset.shut = mayJoin && problem.code !== "banned" ? "list" : "all";
  }

  document.addEventListener("htmx:after:request", ({ detail }) => {
    const { response, text } = detail.ctx;
    if (response.status < 400) show(null);
    else if (response.status === 403) show(JSON.parse(text));
  });
}
