// A whiteboard for everybody in the room, which speaks as examples/whiteboard.html does: strokes are kept
// broadcasts, cursors are states of the moment, and the colour of the paper is the room's data.

import { allows } from "./pass.js";

// A long stroke is said in parts of so many points, which others see while it is drawn.
const PART = 64;
const MOST = 5000;
const PAPER = "#fffdf5";

/** Make the whiteboard work; returns what is to be told every broadcast that a socket hears. */
export function startWhiteboard({ client }) {
  const [fold, board, canvas, news, unkept, paper] = ["fold", "sheet", "canvas", "news", "unkept", "paper"].map((part) =>
    document.getElementById(`board-${part}`),
  );
  const cursors = new Map();
  // What is on the board, `{ id, colour, points }`; one that is not kept, or not yet, has no number.
  let strokes = [];
  let stroke = null;
  let colour = "";
  let pen = null;
  let hasAsked = false;
  let redrawing = null;
  let keep = unkept.hidden;

  function draw({ colour: own, points }) {
    pen.strokeStyle = own;
    pen.beginPath();
    for (const [x, y] of points) pen.lineTo(x * canvas.width, y * canvas.height);
    pen.stroke();
  }

  function redraw() {
    redrawing = null;
    pen.clearRect(0, 0, canvas.width, canvas.height);
    strokes.sort((one, other) => one.id - other.id).forEach(draw);
  }

  const changed = () => pen && (redrawing ??= requestAnimationFrame(redraw));

  function add(one) {
    strokes.push(one);
    if (strokes.length > MOST) strokes.shift();
  }

  /** Of what was drawn before a clearing nothing stays; without a number it is one of all there is. */
  function clear(id = Infinity, all = false) {
    strokes = all ? [] : strokes.filter((one) => one.id > id);
    changed();
  }

  function hear({ room_name: roomName, event, data, id = Infinity, replayed }) {
    if (roomName !== client.roomName || strokes.some((one) => one.id === id && id < Infinity)) return;
    if (event === "clear") clear(id, !replayed);
    if (event !== "stroke" || !Array.isArray(data?.points) || id <= (client.roomData.cleared ?? 0)) return;
    const one = { id, colour: data.colour, points: data.points.filter(Array.isArray) };
    add(one);
    if (replayed) changed();
    else if (fold.open && pen) draw(one);
  }

  /** Hear what was drawn before one came, once somebody looks. */
  function open() {
    if (!fold.open || client.roomName === null) return;
    pen ??= Object.assign(canvas.getContext("2d"), { lineWidth: 4, lineCap: "round", lineJoin: "round" });
    const hue = [...client.peerId].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
    colour = `hsl(${hue} 80% 35%)`;
    changed();
    point();
    if (!hasAsked && keep) ask(0);
    hasAsked = true;
  }

  function ask(since) {
    client.socket?.emit("sync", { since_broadcast: since }, ({ broadcasts }) => broadcasts?.more && ask(broadcasts.last));
  }

  function say(event, data) {
    return client.broadcast(event, data, { keep }).catch((error) => {
      if (error.code !== "broadcasts_not_kept") throw error;
      keep = unkept.hidden = false;
      return say(event, data);
    });
  }

  const tell = ({ detail }) => (news.textContent = `The others do not have that: ${detail}`);

  async function sayStroke(drawn) {
    const one = { ...drawn, id: Infinity };
    add(one);
    try {
      one.id = (await say("stroke", drawn)).id ?? Infinity;
      news.textContent = "";
    } catch (error) {
      tell(error);
    }
  }

  /** Show where the others point. */
  function point() {
    const shown = new Set();
    for (const { peer_id: peerId, session, state } of fold.open ? client.states : []) {
      if (!Array.isArray(state.cursor)) continue;
      shown.add(session);
      if (!cursors.has(session)) cursors.set(session, board.appendChild(document.createElement("bdi")));
      const cursor = cursors.get(session);
      cursor.textContent = client.peers.find((peer) => peer.peer_id === peerId)?.username ?? peerId;
      [cursor.style.left, cursor.style.top] = state.cursor.map((part) => `${Math.min(Math.max(part, 0), 1) * 100}%`);
    }
    for (const [session, cursor] of cursors) {
      if (shown.has(session)) continue;
      cursor.remove();
      cursors.delete(session);
    }
  }

  const at = ({ offsetX, offsetY }) => [offsetX / canvas.clientWidth, offsetY / canvas.clientHeight].map((part) => +part.toFixed(4));
  const show = (cursor) => client.roomName !== null && allows("update") && client.setState({ cursor });

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    stroke = { colour, points: [at(event)] };
  });
  canvas.addEventListener("pointermove", (event) => {
    show(at(event));
    if (!stroke) return;
    draw({ colour, points: [stroke.points.at(-1), stroke.points[stroke.points.push(at(event)) - 1]] });
    if (stroke.points.length < PART) return;
    sayStroke(stroke);
    stroke = { colour, points: [at(event)] };
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => {
      if (stroke?.points.length > 1) sayStroke(stroke);
      stroke = null;
    });
  }
  canvas.addEventListener("pointerleave", () => show(null));
  fold.addEventListener("toggle", () => (fold.open ? open() : (show(null), point())));
  client.on("states", point);
  client.on("joined", open);
  client.on("left", () => {
    hasAsked = false;
    clear(Infinity, true);
  });
  client.on("room_data", ({ paper: wanted, cleared }) => {
    paper.value = /^#[0-9a-f]{6}$/i.test(wanted) ? wanted : PAPER;
    board.style.setProperty("--board-paper", paper.value);
    if (typeof cleared === "number") clear(cleared);
  });
  paper.addEventListener("change", () => client.updateRoomData({ paper: paper.value }).catch(tell));
  document.getElementById("board-clear").addEventListener("click", async () => {
    try {
      await say("clear", null);
      clear(Infinity, true);
    } catch (error) {
      tell(error);
    }
  });
  return hear;
}
