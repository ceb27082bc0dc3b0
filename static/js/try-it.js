// Trying a route in place: imported when somebody wants to. Its fields come from the description of
// the API, and so does what they begin with.

import { offerCopies } from "./copying.js";
import { sendWithKeys } from "./send-keys.js";
import { base, server } from "./server.js";
import { shell } from "./shell-words.js";

// Where the pages of a locked server keep the token of this tab (see pass.js).
const TOKEN = "presence-token";
const MOST_SHOWN = 20_000;
// What only the way of an answer is about; the others may matter to whoever wrote the request.
const DULL = /^(date|server|connection|keep-alive|transfer-encoding|vary|x-content-type-options|content-security-policy|permissions-policy|referrer-policy|access-control-.*|cross-origin-.*)$/;
// What takes something away from somebody, as far as an address says it.
const TAKES = /\/(kick|ban|close|refuse|revoke|grants|leave|batch)$/;

let description = null;

/** Put the form of an operation before its button, and the focus into it; rejects without a server. */
export async function startTrying(button) {
  description ??= fetch(`${base}/api/openapi.json`).then((answer) => answer.json());
  let read;
  try {
    read = await description;
  } catch (error) {
    description = null;
    throw error;
  }
  const wanted = button.dataset.try;
  for (const [path, item] of Object.entries(read.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      if (operation.operationId === wanted) {
        const form = make(method.toUpperCase(), path, operation, read.components.schemas);
        button.after(form);
        form.querySelector("input, textarea, button").focus();
      }
    }
  }
}

function make(method, path, operation, schemas) {
  const form = tag("form", { className: "trying" });
  form.ariaLabel = `Try ${method} ${path}`;
  const id = operation.operationId;
  const fields = [];
  const add = (name, where, value, isRequired, options = {}) => {
    const key = `try-${id}-${name}`;
    const label = tag("label", { htmlFor: key, textContent: isRequired ? name : `${name} (optional)` });
    const field = tag(options.tag ?? "input", { id: key, className: "code", required: Boolean(isRequired), spellcheck: false, autocomplete: "off", ...options.set });
    if (options.set?.type !== "file") field.value = value;
    fields.push({ name, where, field });
    form.append(tag("div", { className: "field" }, label, field));
  };
  for (const { name, in: where, required, schema } of operation.parameters ?? []) {
    const [example = ""] = schema.examples ?? [];
    add(name, where, required ? plain(example) : "", required);
  }
  const [mediaType, body] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  const isJson = mediaType === "application/json";
  if (isJson) {
    const text = JSON.stringify(exampleOf(body.schema, schemas), null, 2);
    add("body", "body", text, false, { tag: "textarea", set: { rows: Math.min(12, text.split("\n").length) } });
  } else if (body) {
    for (const [name, schema] of Object.entries(resolve(body.schema, schemas).properties ?? {})) {
      const isFile = schema.format === "binary" || name === "file";
      add(name, "form", isFile ? "" : plain(schema.examples?.[0] ?? ""), true, isFile ? { set: { type: "file" } } : {});
    }
  }
  if (document.documentElement.dataset.mode === "locked") {
    add("token", "token", sessionStorage.getItem(TOKEN) ?? "", false, { set: { type: "password" } });
  }
  const takes = method === "DELETE" || TAKES.test(path);
  const usual = `Send ${method}`;
  const send = tag("button", { className: "primary", textContent: usual });
  const again = tag("p", { className: "hint" });
  again.setAttribute("role", "status");
  const problem = tag("p", { className: "problem" });
  problem.setAttribute("role", "alert");
  const answer = tag("div", { className: "tried" });
  form.append(tag("div", { className: "row" }, send), again, problem, answer);
  sendWithKeys(form);

  let isMeant = false;
  const ask = (asked) => {
    isMeant = asked;
    send.textContent = asked ? `Yes, ${usual.toLowerCase().replace(method.toLowerCase(), method)}` : usual;
    again.textContent = asked ? "This takes something away on this server. Send it again if you mean it." : "";
  };
  form.addEventListener("input", () => ask(false));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.textContent = "";
    if (takes && !isMeant) return ask(true);
    ask(false);
    send.disabled = true;
    try {
      answer.replaceChildren(...(await exchange(method, path, fields, isJson)));
    } catch (error) {
      answer.replaceChildren();
      problem.textContent = error instanceof SyntaxError ? `The body is not JSON yet: ${error.message}` : "No answer: the server cannot be reached, or it ended the request.";
    }
    send.disabled = false;
  });
  return form;
}

/** Send what the fields say; resolves with what shows the answer. */
async function exchange(method, path, fields, isJson) {
  const query = new URLSearchParams();
  const headers = {};
  let address = path;
  let body;
  for (const { name, where, field } of fields) {
    const value = field.value;
    if (where === "path") address = address.replace(`{${name}}`, encodeURIComponent(value));
    if (!value) continue;
    if (where === "query") query.append(name, value);
    if (where === "header") headers[name] = value;
    if (where === "token") headers.Authorization = `Bearer ${value.trim()}`;
    if (where === "form") (body ??= new FormData()).append(name, field.files?.[0] ?? value);
    if (where === "body") {
      JSON.parse(value);
      body = value;
    }
  }
  if (isJson && body !== undefined) headers["Content-Type"] = "application/json";
  if (query.size) address += `?${query}`;
  const began = performance.now();
  const response = await fetch(base + address, { method, headers, body, credentials: "omit" });
  const bytes = await response.blob();
  const took = Math.round(performance.now() - began);
  const status = tag("p", { className: "tried-status" });
  status.append(
    tag("strong", { className: response.ok ? "well" : "ill", textContent: `${response.status} ${response.statusText}`.trim() }),
    ` · ${took} ms · ${bytes.size.toLocaleString("en")} bytes`,
  );
  const told = [...response.headers].filter(([name]) => !DULL.test(name)).map((line) => line.join(": "));
  const type = response.headers.get("Content-Type") ?? "";
  const text = await textOf(bytes, type);
  const sent = shown(asCurl(method, address, headers, body), "The same with curl");
  offerCopies(() => "The same with curl", [sent]);
  return [status, shown(told.join("\n"), "Headers"), shown(text, "Body"), sent].filter(Boolean);
}

/** Return the line of curl that sends what was sent; never a token, which would end up in shells' histories. */
function asCurl(method, address, headers, body) {
  const words = method === "GET" ? [] : ["-X", method];
  words.push(shell(server + address));
  for (const [name, value] of Object.entries(headers)) {
    words.push("-H", name === "Authorization" ? '"Authorization: Bearer $TOKEN"' : shell(`${name}: ${value}`));
  }
  if (body instanceof FormData) {
    for (const [name, value] of body) words.push("-F", shell(`${name}=${value instanceof File ? `@${value.name}` : value}`));
  } else if (body !== undefined) words.push("-d", shell(body));
  return ["curl", ...words].join(" ");
}

async function textOf(bytes, type) {
  if (!/json|text|xml|javascript/.test(type)) return bytes.size ? `${type || "bytes"}, not shown` : "";
  const text = await bytes.text();
  let shownText = text;
  try {
    shownText = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // Text that is no JSON is shown as it came.
  }
  return shownText.length > MOST_SHOWN ? `${shownText.slice(0, MOST_SHOWN)}\n…` : shownText;
}

function shown(text, label) {
  if (!text) return null;
  const pre = tag("pre", { tabIndex: 0 }, tag("code", { textContent: text }));
  return tag("figure", { className: "sample" }, tag("figcaption", { textContent: label }), pre);
}

function resolve(schema, schemas) {
  return schema.$ref ? resolve(schemas[schema.$ref.split("/").at(-1)], schemas) : schema;
}

/** Return an example of what a schema describes: of an object, what it needs. */
function exampleOf(given, schemas) {
  const schema = resolve(given, schemas);
  if (schema.examples?.length) return schema.examples[0];
  if ("const" in schema) return schema.const;
  if ("default" in schema) return schema.default;
  const [choice] = schema.oneOf ?? schema.anyOf ?? schema.allOf ?? [];
  if (choice) return exampleOf(choice, schemas);
  if (schema.type === "array") return schema.items ? [exampleOf(schema.items, schemas)] : [];
  if (schema.properties) {
    const all = Object.entries(schema.properties);
    const needed = all.filter(([name]) => schema.required?.includes(name));
    return Object.fromEntries((needed.length ? needed : all).map(([name, part]) => [name, exampleOf(part, schemas)]));
  }
  return { string: "", integer: 0, number: 0, boolean: false }[schema.type] ?? {};
}

const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function tag(name, set = {}, ...children) {
  const element = Object.assign(document.createElement(name), set);
  element.append(...children);
  return element;
}
