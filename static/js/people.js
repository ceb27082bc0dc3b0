// The list of people: the data of whoever is opened there is asked for, and kept up to date.

const MOST_OPENED = 20;
// From so many people on, one looks for somebody.
const MANY = 12;

/** Let the page say with every question whose data somebody looks at. */
export function startPeople({ changed }) {
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

  filter.addEventListener("input", find);
  find();
  // It does not bubble, but it is captured.
  people.addEventListener("toggle", () => look() && changed(), true);
  // Whoever is opened may have gone.
  document.addEventListener("htmx:after:swap", () => {
    look();
    find();
  });
}

function input(peerId) {
  const element = document.createElement("input");
  element.type = "hidden";
  element.name = "open";
  element.value = peerId;
  return element;
}
