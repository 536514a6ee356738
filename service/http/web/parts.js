// A translation in parts: so a long text's sentences come early, and what fails, or is stopped, takes nothing else along.
//
// A part is {start, end, state, segments, text, job}: its place in the whole text; "waiting", "running" or "done";
// segments with places in the whole text, of a total that is known once it is in work; its translation once that is
// whole; the job that works on it.

import { Text } from "./text.js";

const SENTENCES = new Intl.Segmenter(undefined, { granularity: "sentence" });

const part = (start, end, more = {}) => ({
  start, end, state: "waiting", segments: [], total: null, text: null, job: null, ...more,
});

// Cut at blank lines into parts, the first ones short, so that they come soon, and none much longer than `most`
// characters; code in Markdown stays whole, HTML is one part.
export function cut(whole, format, most) {
  if (format === "html" || format === "xml") return [part(0, new Text(whole).length)];
  const parts = [];
  let held = "";
  let start = 0;
  for (const piece of whole.split(/(\n\s*\n)/)) {
    held += piece;
    const inCode = format === "markdown" && (held.match(/^(?:```|~~~)/gm) ?? []).length % 2;
    const wanted = Math.min(most, (most / 4) * 2 ** parts.length);
    if (held.length < wanted || inCode || !held.trim()) continue;
    const end = start + new Text(held).length;
    parts.push(part(start, end));
    [held, start] = ["", end];
  }
  const end = start + new Text(held).length;
  if (held.trim() || !parts.length) parts.push(part(start, end));
  else parts.at(-1).end = end;
  return parts;
}

// The part cut in pieces: what is done of it, and what still waits. HTML cannot be begun midway.
export function leftover(one, text, format) {
  if (one.state === "done") return [one];
  const whole = format === "html" || format === "xml";
  const runs = [];
  for (const segment of whole ? [] : one.segments) {
    const run = runs.at(-1);
    if (run && segment.index === run.segments.at(-1).index + 1) {
      run.segments.push(segment);
      run.end = segment.source.end;
    } else {
      runs.push(part(segment.source.start, segment.source.end, { state: "done", segments: [segment] }));
    }
  }
  const pieces = [];
  let end = one.start;
  for (const run of [...runs, { start: one.end, end: one.end }]) {
    if (/[\p{L}\p{N}]/u.test(text.slice(end, run.start))) pieces.push(part(end, run.start, runs.length ? {} : { job: one.job }));
    else if (pieces.length) pieces.at(-1).end = run.start;
    if (run.state) pieces.push(run);
    end = run.end;
  }
  return pieces;
}

// The translation as far as it is there; what waits leaves nothing, and edited sentences stand as they were edited.
export function assemble(parts, text, edits = {}) {
  let end = 0;
  let whole = "";
  for (const one of parts) {
    whole += text.slice(end, one.start);
    if (one.state === "done" || one.segments.length) whole += written(one, text, edits);
    end = one.end;
  }
  return whole.trimEnd();
}

function written(one, text, edits) {
  if (one.text === null) return fromSegments(one, text, edits);
  let from = 0;
  let whole = one.text;
  for (const { source, text: said } of one.segments) {
    const at = said ? whole.indexOf(said, from) : -1;
    if (at < 0) continue;
    const now = edits[source.start] ?? said;
    whole = whole.slice(0, at) + now + whole.slice(at + said.length);
    from = at + now.length;
  }
  return whole;
}

function fromSegments(one, text, edits) {
  let end = one.start;
  let whole = "";
  for (const { source, text: said } of one.segments) {
    whole += text.slice(end, source.start) + (edits[source.start] ?? said);
    end = source.end;
  }
  return whole + (one.state === "done" ? text.slice(end, one.end) : "");
}

// {done, total, isExact, share}: sentences, and the share of the text that they are. `begun` tells of parts in work
// how many of their sentences are done of how many, by where they begin.
export function progress(parts, text, begun = {}) {
  let [done, left, read, isExact] = [0, 0, 0, true];
  for (const one of parts) {
    done += one.segments.length;
    if (one.state === "done") {
      read += one.end - one.start;
      continue;
    }
    const at = one.segments.at(-1)?.source.end ?? one.start;
    const known = begun[one.start] ?? { done: one.segments.length, total: one.total };
    const rest = known.total ? known.total - one.segments.length : sentencesIn(text.slice(at, one.end));
    const ahead = Math.max(0, known.done - one.segments.length);
    isExact &&= Boolean(known.total);
    done += ahead;
    left += rest - ahead;
    read += at - one.start + (rest ? (one.end - at) * (ahead / rest) : 0);
  }
  return { done, total: done + left, isExact, share: text.length ? read / text.length : 1 };
}

function sentencesIn(text) {
  let found = 0;
  for (const { segment } of SENTENCES.segment(text)) if (/[\p{L}\p{N}]/u.test(segment)) found += 1;
  return found;
}
