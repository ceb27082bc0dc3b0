// Where the server is: at the top of this site, or below a path of it.

/** The path below which the server stands, such as “/presence”; empty at the top. */
export const base = document.documentElement.dataset.base;

/** The server's address. */
export const server = location.origin + base;
