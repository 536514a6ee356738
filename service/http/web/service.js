// The service's own interface: JSON in, server-sent events or JSON out.

export class Problem extends Error {
  constructor(document) {
    super(document.detail || document.title || "The service gave no reason.");
    this.document = document;
  }
}

function headers(key, more = {}) {
  return key ? { ...more, Authorization: `Bearer ${key}` } : more;
}

async function refuse(response) {
  let document = { title: `The service answered ${response.status}.` };
  try {
    document = await response.json();
  } catch { /* a proxy's page, for instance */ }
  throw new Problem(document);
}

export async function get(path, key) {
  const response = await fetch(path, { headers: headers(key) });
  return response.ok ? response.json() : refuse(response);
}

function send(path, body, { key, signal }) {
  return fetch(path, {
    method: "POST",
    headers: headers(key, { "Content-Type": "application/json" }),
    body: JSON.stringify(body),
    signal,
  });
}

export async function post(path, body, how) {
  const response = await send(path, body, how);
  return response.ok ? response.json() : refuse(response);
}

// Post a body; `on` holds a function for each event before the result, which is returned.
export async function stream(path, body, { key, signal, on }) {
  const response = await send(path, { ...body, stream: true }, { key, signal });
  if (!response.ok) await refuse(response);
  if (!(response.headers.get("Content-Type") || "").startsWith("text/event-stream")) return response.json();
  for await (const { event, data } of events(response.body)) {
    if (event === "result") return data;
    if (event === "error") throw new Problem(data);
    on[event]?.(data);
  }
  throw new Problem({ detail: "The answer broke off. Try again." });
}

export async function sendFile(path, file, fields, { key, signal }) {
  const form = new FormData();
  form.append("file", file, file.name);
  for (const [name, value] of Object.entries(fields)) if (value) form.append(name, value);
  const response = await fetch(path, { method: "POST", headers: headers(key), body: form, signal });
  return response.ok ? response : refuse(response);
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
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
