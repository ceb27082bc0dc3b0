// The chat over data channels: nothing of it goes through the server.

const KEPT = 200;
// An address of the web, without what ends the sentence that it stands in.
const ADDRESS = /(https?:\/\/[^\s<>"]*[^\s<>".,:;!?)\]}'])/i;

/**
 * Make the chat of the call work. `connections()` are those to send on, `heard()` is told when somebody wrote.
 *
 * Returns `{ hear, clear }`: `hear` takes a person's name and text.
 */
export function startChat(connections, heard) {
  const log = document.getElementById("chat-log");
  const form = document.getElementById("chat-form");
  const field = document.getElementById("chat-text");
  const problem = document.getElementById("chat-problem");

  function add(name, text) {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    const line = document.createElement("p");
    const who = document.createElement("b");
    const isolated = document.createElement("bdi");
    isolated.textContent = name;
    who.append(isolated);
    line.append(who, ...linked(String(text).slice(0, 2000)));
    log.append(line);
    while (log.children.length > KEPT) log.firstElementChild.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text) return;
    const open = connections().filter(({ channel }) => channel?.readyState === "open");
    problem.textContent = open.length ? "" : "Nobody is connected yet, so nobody would read it.";
    if (!open.length) return;
    const failed = ({ detail }) => (problem.textContent = detail);
    for (const connection of open) connection.send(JSON.stringify({ presence: "chat", text })).catch(failed);
    add("You", text);
    field.value = "";
  });

  return {
    hear(name, text) {
      add(name, text);
      heard();
    },
    clear() {
      log.replaceChildren();
      problem.textContent = "";
    },
  };
}

/** Return a text in pieces: what is an address in it is a link, and the rest stays text. */
function linked(text) {
  return text.split(ADDRESS).map((part, at) => {
    if (at % 2 === 0 || !URL.canParse(part)) return part;
    const link = document.createElement("a");
    link.href = part;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    link.textContent = part;
    return link;
  });
}
