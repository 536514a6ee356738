// A translation in parts: what is done of it, and the rest, so that what fails, or is stopped, takes nothing along.
//
// A part is {start, end, state, segments, text, job, told, total}: its place in the whole text; "waiting", "running"
// or "done"; segments with places in the whole text, in order; its translation once that is whole; the job that works
// on it, and up to where that has told its segments, of a total that is known once it is in work.

const part = (start, end, more = {}) => ({
  start, end, state: "waiting", segments: [], text: null, job: null, told: 0, total: null, ...more,
});

export const whole = (text) => [part(0, text.length)];

// Put a segment where it belongs, in place of one that was told before.
export function place(one, segment) {
  const at = one.segments.findIndex((each) => each.source.start >= segment.source.start);
  const again = one.segments[at]?.source.start === segment.source.start;
  one.segments.splice(at < 0 ? one.segments.length : at, again ? 1 : 0, segment);
}

// The stretches of a part that are not translated yet: [{start, end}].
export function gaps(one, text) {
  if (one.state === "done") return [];
  const found = [];
  let [index, start] = [-1, one.start];
  for (const next of [...one.segments, { index: one.total, source: { start: one.end } }]) {
    const follows = next.index !== null && next.index === index + 1;
    const end = next.source.start;
    if (!follows && /[\p{L}\p{N}]/u.test(text.slice(start, end))) found.push({ start, end });
    [index, start] = [next.index ?? NaN, next.source.end];
  }
  return found;
}

// The part cut in two: what is done of it, and the rest, whose own segments stay until there are new ones. HTML cannot
// be begun midway, and what a job works on stays whole.
export function leftover(one, text, format) {
  if (one.state === "done" || one.job) return [one];
  const [first] = gaps(one, text);
  if (!first) return [{ ...one, state: "done" }];
  const at = one.segments.findIndex(({ source }) => source.start >= first.end);
  const rest = one.segments.slice(at < 0 ? one.segments.length : at).map((segment) => ({ ...segment, index: null }));
  if (first.start === one.start || format === "html" || format === "xml") return [{ ...one, state: "waiting", total: null }];
  return [
    part(one.start, first.start, { state: "done", segments: one.segments.slice(0, at < 0 ? undefined : at) }),
    part(first.start, one.end, { segments: rest }),
  ];
}

// The translation as far as it is there, with a mark where something between is missing; edited sentences stand as they
// were edited.
export function assemble(parts, text, edits = {}) {
  let end = 0;
  let said = "";
  for (const one of parts) {
    said += text.slice(end, one.start) + (one.text === null ? fromSegments(one, text, edits) : edited(one, edits));
    end = one.end;
  }
  return said.replace(/(?:\s*\[…\])+\s*$/, "").trimEnd();
}

function edited(one, edits) {
  let from = 0;
  let said = one.text;
  for (const { source, text: words } of one.segments) {
    const at = words ? said.indexOf(words, from) : -1;
    if (at < 0) continue;
    const now = edits[source.start] ?? words;
    said = said.slice(0, at) + now + said.slice(at + words.length);
    from = at + now.length;
  }
  return said;
}

function fromSegments(one, text, edits) {
  const missing = gaps(one, text).map(({ start, end }) => ({
    source: { start, end }, text: text.slice(start, end).replace(/\S(?:.*\S)?/s, "[…]"),
  }));
  const all = [...one.segments, ...missing].sort((a, b) => a.source.start - b.source.start);
  let end = one.start;
  let said = "";
  for (const { source, text: words } of all) {
    said += text.slice(end, source.start) + (edits[source.start] ?? words);
    end = source.end;
  }
  return said + text.slice(end, one.end);
}

// {done, total, share}: sentences, their number if it is known, and the share of the text that is done.
export function progress(parts, text) {
  let [done, total, left] = [0, 0, 0];
  for (const one of parts) {
    done += one.segments.length;
    total += one.state === "done" ? one.segments.length : one.total ?? NaN;
    for (const { start, end } of gaps(one, text)) left += end - start;
  }
  return { done, total: total || null, share: text.length ? 1 - left / text.length : 1 };
}
