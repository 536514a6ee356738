// The service's interface: JSON in, JSON or server-sent events out. What is refused for now is asked again by itself.

import { t } from "./language.js";

export class Problem extends Error {
  constructor(document, retryAfterS = 0) {
    super(document.detail || document.title || "");
    this.document = document;
    this.retryAfterS = retryAfterS;
  }

  get kind() {
    return (this.document.type || "").replace("/problems/", "");
  }
}

const FOR_NOW = new Set(["overloaded", "rate-limited", "not-ready", "model-loading", "engine-gone"]);
const LONGEST_WAIT_S = 300; // what is refused for longer is told instead

// `how` is {key, signal, waiting}: `waiting` hears the problem and the seconds left, every second of a wait.
export async function request(path, options, { key, signal, waiting = () => {} }) {
  for (;;) {
    const response = await reach(path, { ...options, headers: headers(key, options.headers), signal });
    if (response.ok) return response;
    const problem = await read(response);
    if (!FOR_NOW.has(problem.kind) || problem.retryAfterS > LONGEST_WAIT_S) throw problem;
    for (let left = problem.retryAfterS; left > 0; left -= 1) {
      waiting(problem, left);
      await pause(Math.min(left, 1) * 1000, signal);
    }
  }
}

export const get = async (path, how) => (await request(path, {}, how)).json();

export const post = async (path, body, how) => (await send(path, body, how)).json();

export async function remove(path, { key }) {
  await reach(path, { method: "DELETE", headers: headers(key), keepalive: true }).catch(() => {});
}

export function sendFile(path, file, fields, how) {
  const form = new FormData();
  form.append("file", file, file.name);
  for (const [name, value] of Object.entries(fields)) if (value) form.append(name, value);
  return request(path, { method: "POST", body: form }, how);
}

// Post a body; `on` holds a function for each event before the result, which is returned.
export async function stream(path, body, { on, ...how }) {
  const response = await send(path, { ...body, stream: true }, how);
  if (!(response.headers.get("Content-Type") || "").startsWith("text/event-stream")) return response.json();
  for await (const { event, data } of events(response.body)) {
    if (event === "result") return data;
    if (event === "error") throw new Problem(data);
    on[event]?.(data);
  }
  throw new Problem({ type: "broken-off" });
}

export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
    if (signal?.aborted) reject(signal.reason);
  });
}

export function send(path, body, how, method = "POST") {
  const options = { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return request(path, options, how);
}

function headers(key, more = {}) {
  return key ? { ...more, Authorization: `Bearer ${key}` } : more;
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem({ type: "unreachable" });
  }
}

async function read(response) {
  let document = { title: t("failure.status", { status: String(response.status) }), status: response.status };
  try {
    document = await response.json();
  } catch { /* a proxy's page, for instance */ }
  return new Problem(document, Number(response.headers.get("Retry-After")) || 2);
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await next(reader);
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      let event = "message";
      const data = [];
      for (const line of part.split("\n")) {
        if (line.startsWith("event:")) event = line.slice(6).trim();
        if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
      }
      if (data.length) yield { event, data: JSON.parse(data.join("\n")) };
    }
  }
}

async function next(reader) {
  try {
    return await reader.read();
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem({ type: "broken-off" });
  }
}
