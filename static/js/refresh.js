// Telling HTMX that something changed, by an event on the page's body.

/**
 * Return a function that raises `event`. A page that nobody looks at waits until somebody does.
 */
export function refresher(event) {
  let missed = false;
  const raise = () => {
    missed = document.hidden;
    if (!missed) document.body.dispatchEvent(new CustomEvent(event));
  };
  document.addEventListener("visibilitychange", () => missed && raise());
  return raise;
}
