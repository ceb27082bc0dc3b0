// Keeps every “3 min ago” of the page true, in the words of the server’s own:
// presence/transport/pages/text_filters.py.

const UNITS = [["s", 60], ["min", 60], ["h", 24]];
const TICK_MS = 5000;

// What the server's clock is ahead of this machine's.
const ahead = Date.parse(document.documentElement.dataset.now) - Date.now();

/** Say how long ago an instant was. */
export function ago(instant, now = Date.now() + ahead) {
  let amount = Math.max(0, Math.floor((now - Date.parse(instant)) / 1000));
  if (amount < 5) return "just now";
  for (const [unit, length] of UNITS) {
    if (amount < length) return `${amount} ${unit} ago`;
    amount = Math.floor(amount / length);
  }
  return amount === 1 ? "yesterday" : `${amount} days ago`;
}

function tick() {
  if (document.hidden) return;
  const now = Date.now() + ahead;
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const words = ago(element.dateTime, now);
    if (element.textContent !== words) element.textContent = words;
  }
}

setInterval(tick, TICK_MS);
document.addEventListener("visibilitychange", tick);
