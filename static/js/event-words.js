// An event in one line: who and what changed first, without what every line would repeat; and without
// secrets, which are never kept.

const LINE = 160;
const VALUE = 48;
// What is longer is shown as it is: to parse hundreds of lists a second would take what a page has.
const PARSED = 8_000;
const HIDDEN = "•••";

// Names of what nobody is to read over a shoulder, or in a file that is passed on.
const SECRET = /(?:^|_)(?:password|passphrase|token|secret|credential|signature|authorization)s?$/i;
// A key that ends so, in JSON: most of what comes has none, and need not be parsed for it.
const MAY_HIDE = /(?:password|passphrase|token|secret|credential|signature|authorization)s?"\s*:/i;
const SIGNED = /([?&](?:signature|token)=)[\w.-]+/g;

/** Return JSON with its secrets hidden: the values of keys that are called so, and signatures of addresses. */
export function withoutSecrets(text) {
  const hidden = MAY_HIDE.test(text) ? JSON.stringify(hide(JSON.parse(text))) : text;
  return hidden.replace(SIGNED, `$1${HIDDEN}`);
}

function hide(value) {
  if (Array.isArray(value)) return value.map(hide);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, SECRET.test(key) && inner ? HIDDEN : hide(inner)]),
  );
}

// Who it is about, the first that is there; and what says what happened, before the rest.
const WHO = ["username", "from", "by", "to", "peer_id"];
const WHAT = ["changed", "code", "detail", "event", "type", "state", "user_data", "room_data", "data"];
// What every message has, and what only programs need.
const COMMON = new Set(["room_name", "version", "previous_version", "success", "ok", "from_session", "session", "max_peers", "server_time"]);

/** Return the line of an event: `{ who, what }`. `me` says who one is and which room this is, `nameOf` who has an id. */
export function digest(text, me, nameOf) {
  if (text.length > PARSED) return { who: "", what: cut(text.slice(1, LINE + 1)) };
  const args = JSON.parse(text);
  const value = args[0];
  if (args.length !== 1 || value === null || typeof value !== "object" || Array.isArray(value)) {
    return { who: "", what: cut(text.slice(1, -1)) };
  }
  const whose = WHO.find((key) => typeof value[key] === "string");
  // Of data that changed the keys that did; the others are in the row when it is opened.
  const changed = Array.isArray(value.changed) ? value.changed : null;
  const only = (data) => (changed ? Object.fromEntries(changed.map((key) => [key, data?.[key]])) : data);
  const parts = [];
  for (const key of [...WHAT, ...Object.keys(value).filter((name) => !WHAT.includes(name))]) {
    if (!(key in value) || key === whose || key === "changed") continue;
    if (COMMON.has(key) && !(key === "room_name" && value[key] !== me.room)) continue;
    if (key === "peer_id" && whose === "username") continue;
    const isData = key === "user_data" || key === "room_data";
    parts.push(isData && Object.keys(value[key] ?? {}).length ? fields(only(value[key])) : `${key} ${short(value[key])}`);
  }
  if (!whose) return { who: "", what: cut(parts.join(" · ")) };
  const name = value[whose] === me.peerId ? "you" : nameOf(value[whose]);
  return { who: whose === "to" ? `to ${name}` : name, what: cut(parts.join(" · ")) };
}

// What changes of a list tell, and what of a peer is no news there.
const CHANGES = new Set(["peer_joined", "peer_updated", "peer_left"]);
const NO_NEWS = new Set(["peer_id", "joined_at", "last_seen", "is_active"]);
const NAMED = 3;

/** Return the line of a change of the list, `{ who, what }`; null for other events. `known` are the peers before it. */
export function digestChange({ name, text }, known) {
  if (!CHANGES.has(name) || text.length > PARSED) return null;
  const [body] = JSON.parse(text);
  if (!body?.peers?.length) return null;
  const before = new Map(known.map((peer) => [peer.peer_id, peer]));
  const names = body.peers.map(({ peer_id, username }) => username ?? before.get(peer_id)?.username ?? peer_id);
  if (names.length > 1) {
    const more = names.length - NAMED;
    return { who: names.slice(0, NAMED).join(", "), what: more > 0 ? `and ${more} more` : "" };
  }
  const [peer] = body.peers;
  const { user_data: had = {}, ...was } = before.get(peer.peer_id) ?? {};
  const { user_data: has = {}, ...is } = peer;
  // Who comes or goes has more to its name than what it brings, but that says nothing.
  const rest = name === "peer_updated" ? different(was, is) : peer.reason ? { reason: peer.reason } : {};
  const what = [fields(different(had, has)), fields(rest)].filter(Boolean).join(" · ");
  return { who: names[0], what: cut(what.replace(SIGNED, `$1${HIDDEN}`)) };
}

/** Return what is not as it was, by key; undefined for what is gone. */
function different(was, is) {
  const keys = new Set([...Object.keys(is), ...Object.keys(was)]);
  const news = [...keys].filter((key) => !NO_NEWS.has(key) && JSON.stringify(was[key]) !== JSON.stringify(is[key]));
  return hide(Object.fromEntries(news.map((key) => [key, is[key]])));
}

const fields = (data) => Object.entries(data).map(([key, value]) => `${key} ${short(value)}`).join(" · ");

function short(value) {
  if (Array.isArray(value) && value.length > 3) return `[${value.length}]`;
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "removed");
  return text.length > VALUE ? `${text.slice(0, VALUE)}…` : text;
}

const cut = (text) => (text.length > LINE ? `${text.slice(0, LINE)}…` : text);
