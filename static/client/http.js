// The client's HTTP: asking for JSON, and uploading with progress and abort.

import { PresenceError } from "./base.js";

/**
 * Return the token to use now: `token` itself, or what it returns if it is a function. Rejects with
 * `token_failed`, whose cause is what the function threw.
 */
export async function tokenOf(token) {
  if (typeof token !== "function") return token;
  try {
    return await token();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new PresenceError("token_failed", `No token could be had: ${why}`, {}, { cause });
  }
}

/** Return the header that shows a token, if there is one (RFC 6750). */
export async function bearer(token) {
  const value = await tokenOf(token);
  return value ? { Authorization: `Bearer ${value}` } : {};
}

/**
 * Ask for JSON, and return it; a `body` is sent as JSON. Rejects with the server's error, or
 * `unreachable`.
 */
export async function json(url, { method = "GET", body, fetch = globalThis.fetch, headers = {}, signal } = {}) {
  const request = { method, headers, signal };
  if (body !== undefined) {
    request.headers = { ...headers, "Content-Type": "application/json" };
    request.body = JSON.stringify(body);
  }
  let status;
  let text;
  try {
    const response = await fetch(url, request);
    status = response.status;
    text = await response.text();
  } catch {
    throw unreachable(url);
  }
  return checked(status, text);
}

/**
 * Send a multipart form and return the server's answer as an object.
 *
 * `onProgress({ loaded, total })` counts bytes of the request. Rejects with a `PresenceError`: the
 * server's own, `aborted`, or `unreachable`.
 */
export async function upload(url, form, options = {}) {
  const { status, text } = await send("POST", url, { ...options, body: form });
  return checked(status, text);
}

/**
 * Make a request and return its answer: `status`, `text`, and `header(name)`.
 *
 * `onProgress({ loaded, total })` counts bytes of its body. Rejects with `aborted` or `unreachable`.
 */
export function send(method, url, { body, headers = {}, onProgress, signal, fetch } = {}) {
  if (signal?.aborted) return Promise.reject(aborted());
  // Browsers and React Native count a body's bytes only for XMLHttpRequest.
  const through = globalThis.XMLHttpRequest && !fetch && body ? sendWithXhr : sendWithFetch;
  return through(method, url, { body, headers, onProgress, signal, fetch });
}

/** Return what the server answered, or throw it if it is an error. */
export function checked(status, text) {
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // Something before the server answered in its place.
  }
  if (status >= 200 && status < 300 && body) return body;
  const { code = "unreadable_answer", detail = `The server answered ${status} without JSON.` } =
    body ?? {};
  throw new PresenceError(code, detail, body ?? { status });
}

function sendWithXhr(method, url, { body, headers, onProgress, signal }) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    const abort = () => xhr.abort();
    const settle = (how, value) => {
      signal?.removeEventListener?.("abort", abort);
      how(value);
    };
    xhr.open(method, url);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    if (onProgress) {
      xhr.upload.onprogress = ({ loaded, total }) => onProgress({ loaded, total });
    }
    const header = (name) => xhr.getResponseHeader(name);
    xhr.onload = () => settle(resolve, { status: xhr.status, text: xhr.responseText, header });
    xhr.onerror = () => settle(reject, unreachable(url));
    xhr.onabort = () => settle(reject, aborted());
    signal?.addEventListener("abort", abort);
    xhr.send(body);
  });
}

async function sendWithFetch(method, url, { body, headers, onProgress, signal, fetch = globalThis.fetch }) {
  const request = { method, body, signal, headers };
  if (body && onProgress && globalThis.TransformStream) {
    // The body as the bytes that will be sent, so that they can be counted as they go.
    const encoded = new Request(url, { method, body });
    const total = body.size ?? (await encoded.clone().arrayBuffer()).byteLength;
    const type = headers["Content-Type"] ?? encoded.headers.get("Content-Type");
    request.headers = { ...headers, "Content-Type": type };
    request.body = encoded.body.pipeThrough(counting(total, onProgress));
    request.duplex = "half";
  }
  try {
    const response = await fetch(url, request);
    const header = (name) => response.headers.get(name);
    return { status: response.status, text: await response.text(), header };
  } catch {
    throw signal?.aborted ? aborted() : unreachable(url);
  }
}

function counting(total, onProgress) {
  let loaded = 0;
  return new TransformStream({
    transform(chunk, controller) {
      loaded += chunk.byteLength;
      controller.enqueue(chunk);
      onProgress({ loaded, total });
    },
  });
}

/** The error for an upload that its program ended. */
export function aborted() {
  return new PresenceError("aborted", "The upload was aborted; nothing was stored.");
}

/** The error for a server that does not answer at `url`. */
export function unreachable(url) {
  return new PresenceError(
    "unreachable",
    `${url} does not answer. Check the address and the network, then try again.`,
  );
}
