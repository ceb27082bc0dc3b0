// Who a client is when nobody says: what its token is for, or a made-up id that stays with the tab.

import { randomId } from "./base.js";

const KEY = "presence-peer-id";
const LONGEST_NAME = 64;

// Several clients of one page are several peers: each takes a place, and the id that belongs to it.
const taken = new Set();

/** Return `{ peerId, release }`: the id of this tab's next place, the same after a reload. */
export function takeId() {
  let place = 1;
  while (taken.has(place)) place += 1;
  taken.add(place);
  return { peerId: keptId(place === 1 ? KEY : `${KEY}-${place}`), release: () => taken.delete(place) };
}

function keptId(key) {
  const made = randomId("peer-");
  try {
    // Only there where a page is, and where it may keep something.
    const storage = globalThis.sessionStorage;
    const kept = storage?.getItem(key);
    if (kept) return kept;
    if (globalThis.window === globalThis) storage?.setItem(key, made);
  } catch {
    // Then it lasts until the page is loaded anew.
  }
  return made;
}

/** Return what a token says of its holder: `{ sub, name }`, or an empty object. */
export function claimsOf(token) {
  try {
    const [, middle] = token.split(".");
    const binary = atob(middle.replace(/-/g, "+").replace(/_/g, "/"));
    const escaped = [...binary].map((byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, "0")}`);
    const { sub, name } = JSON.parse(decodeURIComponent(escaped.join("")));
    const isName = typeof name === "string" && name.trim() !== "" && [...name].length <= LONGEST_NAME;
    return typeof sub === "string" ? { sub, name: isName ? name.trim() : undefined } : {};
  } catch {
    return {};
  }
}
