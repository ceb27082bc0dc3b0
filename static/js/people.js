// The list of people: the data of whoever is opened there is asked for, and kept up to date.

const MOST_OPENED = 20;

/** Let the page say with every question whose data somebody looks at. */
export function startPeople({ changed }) {
  const people = document.getElementById("people");
  const opened = document.getElementById("opened");

  function look() {
    const open = [...people.querySelectorAll("details.data[open]")].slice(-MOST_OPENED);
    opened.replaceChildren(...open.map(({ dataset }) => input(dataset.peer)));
    return open.some((details) => !details.querySelector(".tree"));
  }

  // It does not bubble, but it is captured.
  people.addEventListener("toggle", () => look() && changed(), true);
  // Whoever is opened may have gone.
  document.addEventListener("htmx:after:swap", look);
}

function input(peerId) {
  const element = document.createElement("input");
  element.type = "hidden";
  element.name = "open";
  element.value = peerId;
  return element;
}
