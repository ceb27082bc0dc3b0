// The drawing of a mesh: who is in the call, and what every connection between two of them is like.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 400;
const HEIGHT = 260;
const NAME_LENGTH = 14;

/**
 * Draw `people`, `[{ id, name, own }]`, and `links`, `[{ from, to, state, path, roundTripTime }]`,
 * into an SVG element.
 */
export function drawMesh(svg, people, links) {
  const places = new Map(people.map(({ id }, index) => [id, place(index, people.length)]));
  // The lines first: one that was drawn later would go through a figure.
  const lines = [];
  const labels = [];
  for (const link of links) {
    const [a, b] = [places.get(link.from), places.get(link.to)];
    if (!a || !b) continue;
    const kind = `mesh-line ${link.state}${link.path === "relayed" ? " relayed" : ""}`;
    lines.push(make("line", { class: kind, x1: a.x, y1: a.y, x2: b.x, y2: b.y }));
    if (link.state === "connected" && link.roundTripTime !== null) {
      // Off the middle, where the lines of a mesh cross.
      const at = { x: a.x + (b.x - a.x) * 0.38, y: a.y + (b.y - a.y) * 0.38 };
      labels.push(make("text", { class: "mesh-figure", x: at.x, y: at.y + 3 }, figure(link)));
    }
  }
  for (const { id, name, own } of people) {
    const { x, y } = places.get(id);
    labels.push(make("circle", { class: own ? "mesh-node own" : "mesh-node", cx: x, cy: y, r: 11 }));
    const below = y > HEIGHT / 2 ? 26 : -17;
    labels.push(make("text", { class: "mesh-name", x, y: y + below }, short(name)));
  }
  svg.replaceChildren(...lines, ...labels);
}

/** Say in words what a connection is like. */
export function linkInWords({ state, path, roundTripTime }) {
  if (state !== "connected") {
    return { connecting: "connecting…", recovering: "interrupted, trying again…", failed: "failed" }[state] ?? state;
  }
  const words = ["connected"];
  if (path) words.push(path);
  if (roundTripTime !== null) words.push(`RTT\u00a0${milliseconds(roundTripTime).replace(" ", "\u00a0")}`);
  return words.join(", ");
}

function figure({ path, roundTripTime }) {
  return `${path === "relayed" ? "relayed " : ""}${milliseconds(roundTripTime)}`;
}

function milliseconds(time) {
  return time < 1 ? "<1 ms" : `${Math.round(time)} ms`;
}

function place(index, count) {
  const angle = (index / count) * 2 * Math.PI - Math.PI / 2;
  return {
    x: WIDTH / 2 + (WIDTH / 2 - 70) * Math.cos(angle),
    y: HEIGHT / 2 + (HEIGHT / 2 - 42) * Math.sin(angle),
  };
}

function short(name) {
  const letters = [...name];
  return letters.length > NAME_LENGTH ? `${letters.slice(0, NAME_LENGTH - 1).join("")}…` : name;
}

function make(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text) element.textContent = text;
  return element;
}
