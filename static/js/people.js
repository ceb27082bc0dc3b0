// The list of people: the data of whoever is opened there is asked for, and kept up to date; who has not
// touched anything for a while is shown so to those in the room, who hear it.

const MOST_OPENED = 20;
// From so many people on, one looks for somebody.
const MANY = 12;

/** Let the page say with every question whose data somebody looks at, and show who is idle. */
export function startPeople({ client, changed }) {
  const people = document.getElementById("people");
  const opened = document.getElementById("opened");

  function look() {
    const open = [...people.querySelectorAll("details.data[open]")].slice(-MOST_OPENED);
    opened.replaceChildren(...open.map(({ dataset }) => input(dataset.peer)));
    return open.some((details) => !details.querySelector(".tree"));
  }

  const filter = document.getElementById("people-filter");
  const news = document.getElementById("people-news");

  /** Show those who match; everybody where nothing is wanted. */
  function find() {
    const persons = [...people.querySelectorAll(".person")];
    filter.hidden = persons.length < MANY && !filter.value;
    const wanted = filter.value.trim().toLowerCase();
    let found = 0;
    for (const person of persons) {
      const isFound = !wanted || person.querySelector(".who").textContent.toLowerCase().includes(wanted);
      person.hidden = !isFound;
      found += isFound;
    }
    const words = wanted ? `${found} of ${persons.length}` : "";
    if (news.textContent !== words) news.textContent = words;
    if (wanted && people.querySelector(".away:not([hidden])")) document.getElementById("were-here").open = true;
  }

  let idle = new Map();
  let marked = "";

  /** Know who is idle: whoever says so on every connection. It is asked for twenty times a second. */
  function count() {
    const found = new Map();
    for (const { peer_id: peerId, state } of client.states) {
      if (state.idle === true) found.set(peerId, (found.get(peerId) ?? 0) + 1);
    }
    if (found.size > 0) {
      for (const peer of client.peers) if (found.get(peer.peer_id) < peer.session_count) found.delete(peer.peer_id);
    }
    const ids = JSON.stringify([...found.keys()]);
    if (ids === marked) return;
    marked = ids;
    idle = found;
    mark();
  }

  function mark() {
    for (const person of people.querySelectorAll(".person:not(.away)")) {
      const isIdle = idle.has(person.querySelector(".id bdi").textContent);
      const words = isIdle ? "away from keyboard" : "here";
      const shown = person.querySelector(".is-here");
      person.classList.toggle("idle", isIdle);
      if (shown.textContent !== words) shown.textContent = words;
    }
  }

  client.on("states", count);
  client.on("peers", count);
  filter.addEventListener("input", find);
  find();
  // It does not bubble, but it is captured.
  people.addEventListener("toggle", () => look() && changed(), true);
  // Whoever is opened may have gone.
  document.addEventListener("htmx:after:swap", () => {
    look();
    find();
    mark();
  });
}

function input(peerId) {
  const element = document.createElement("input");
  element.type = "hidden";
  element.name = "open";
  element.value = peerId;
  return element;
}
