// Who waits in front of the room, for those who may let them in.

/** Show who waits, with a button for either answer. */
export function startLobby({ client }) {
  const card = document.getElementById("lobby-card");
  const list = document.getElementById("lobby");
  const news = document.getElementById("lobby-news");

  function show(people) {
    card.hidden = people.length === 0;
    list.replaceChildren(...people.map(line));
  }

  function line({ peer_id: peerId, username }) {
    const item = document.createElement("li");
    const name = document.createElement("bdi");
    name.textContent = username;
    const answers = document.createElement("div");
    answers.className = "row";
    answers.append(press("Let in", () => client.admit(peerId)), press("Refuse", () => client.refuse(peerId)));
    item.append(name, answers);
    return item;
  }

  function press(words, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words;
    button.addEventListener("click", async () => {
      news.textContent = "";
      try {
        await act();
      } catch (error) {
        news.textContent = error.detail;
      }
    });
    return button;
  }

  client.on("knocking", ({ knocking }) => show(knocking));
  client.on("left", () => show([]));
}
