// The client of a Presence server: joins a room, keeps its list of peers, sends signals, calls, and
// joins again by itself whenever the connection was lost. ES modules for browsers, Node and React
// Native; they need socket.io-client and nothing else.

export { PresenceError } from "./base.js";
export { everyone } from "./call.js";
export { PresenceClient } from "./client.js";
