// What the server does not show to this visitor: said on the page, in the place of what is hidden.

import { allows, coversRoom } from "./pass.js";

/** Say why the room's people, files and activity are not shown, whenever the server does not. */
export function startRefusals(main) {
  const words = document.getElementById("shut");

  function show(problem) {
    const isShut = problem !== null;
    words.hidden = !isShut;
    if (!isShut) return void delete main.dataset.shut;
    if (words.textContent !== problem.detail) words.textContent = problem.detail;
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
