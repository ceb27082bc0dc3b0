// The visitor's token at a locked server: taken from the address or from the field of the page, kept
// with the tab, and shown with everything that the page asks for. On an open server there is none.

const KEY = "presence-token";
const html = document.documentElement;

/** Whether the server wants a token. */
export const isLocked = html.dataset.mode === "locked";

const claims = isLocked ? claimsOf(fromAddress() ?? sessionStorage.getItem(KEY)) : null;

/** What the page shows of the token; the server alone decides what it is good for. */
export const pass = {
  token: claims ? sessionStorage.getItem(KEY) : null,
  peerId: claims?.sub ?? null,
  // A person's name, which backends may put into a token (RFC 7519 leaves room for it).
  name: typeof claims?.name === "string" ? claims.name.trim() : "",
  room: claims?.room ?? "*",
  isAdmin: !isLocked || Boolean(claims?.grants?.includes("admin")),
  grants: claims?.grants ?? [],
  expires: claims?.exp ? new Date(claims.exp * 1000) : null,
};

/** Tell whether there is nothing to wait for: no token is wanted, or there is one. */
export const isReady = !isLocked || pass.token !== null;

/** Return the headers that show the token (RFC 6750). */
export function headers() {
  return pass.token ? { Authorization: `Bearer ${pass.token}` } : {};
}

/** Tell whether an error's code says that another token is wanted. */
export function isAboutToken(code) {
  return code?.startsWith("token_") ?? false;
}

/** Tell whether the token has a grant. */
export function allows(grant) {
  return pass.isAdmin || pass.grants.includes(grant);
}

/** Tell whether the token is for a room; an asterisk stands for anything, `\*` for itself. */
export function coversRoom(name) {
  const parts = pass.room.split(/(\\\*|\*)/).map((part) => {
    if (part === "*") return "[^]*";
    return (part === "\\*" ? "*" : part).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  });
  return !isLocked || new RegExp(`^${parts.join("")}$`, "u").test(name);
}

/** Ask for another token, with a sentence about what is wrong with this one. */
export function askForToken(problem = "") {
  if (!isLocked) return;
  html.dataset.pass = "none";
  const card = document.getElementById("pass");
  card.hidden = false;
  document.getElementById("pass-problem").textContent = problem;
}

/** Show the token with what HTMX asks for. */
function showToHtmx() {
  document.addEventListener("htmx:config:request", ({ detail }) => {
    Object.assign(detail.ctx.request.headers, headers());
  });
}

/** Take a token out of the address, where a link has it, so that nobody reads it over a shoulder. */
function fromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    sessionStorage.setItem(KEY, token.trim());
    history.replaceState(history.state, "", location.pathname + location.search);
  }
  return token?.trim() || null;
}

function claimsOf(token) {
  try {
    const [, middle] = token.split(".");
    const bytes = Uint8Array.from(atob(middle.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    const read = JSON.parse(new TextDecoder().decode(bytes));
    return typeof read.sub === "string" && typeof read.room === "string" ? read : null;
  } catch {
    return null;
  }
}

function start() {
  showToHtmx();
  const form = document.getElementById("pass-form");
  const field = document.getElementById("pass-token");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    // A whole link will do too.
    const text = field.value.trim().replace(/^.*#token=/, "");
    if (!claimsOf(text)) {
      document.getElementById("pass-problem").textContent =
        "This is no token. A token is three long words with dots between them.";
      field.setAttribute("aria-invalid", "true");
      field.focus();
      return;
    }
    sessionStorage.setItem(KEY, text);
    location.reload();
  });
  document.getElementById("pass-forget").addEventListener("click", () => {
    sessionStorage.removeItem(KEY);
    location.reload();
  });
  // A link to the page that is open already changes nothing but the end of its address.
  addEventListener("hashchange", () => fromAddress() && location.reload());
  if (isReady) tell();
  else askForToken(sessionStorage.getItem(KEY) ? "What this tab had kept is no token." : "");
}

function tell() {
  html.dataset.pass = "shown";
  const until = pass.expires?.toLocaleString([], { dateStyle: "short", timeStyle: "short" });
  document.getElementById("pass-who").textContent = pass.peerId;
  document.getElementById("pass-what").textContent =
    `${pass.grants.join(", ") || "nothing"} · ${pass.room} · until ${until}`;
  document.getElementById("pass-line").hidden = false;
}

if (isLocked) start();
