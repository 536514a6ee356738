// A draft: one text or file with all that was asked of it and has come of it. Plain data, so that it can be kept.

import { chosen } from "./choices.js";
import { formatOf, kindOf } from "./kinds.js";
import { languageOf } from "./looking.js";
import { assemble } from "./parts.js";
import { Text } from "./text.js";

export function newDraft(raw, { kind = null, file = null } = {}) {
  const asked = chosen();
  const found = asked.format || kind || kindOf(raw);
  return {
    id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`,
    made: new Date().toISOString(),
    asked,
    raw,
    kind: found,
    format: formatOf(found),
    file, // its name; the server alone can read it
    article: null, // {text, title, bodyStart, dropped}: as it was read, without what a page puts around it
    summary: null, // the server's answer
    summaryJob: null,
    toTranslate: null, // the text that the parts are of
    parts: null,
    language: asked.source === "auto" ? languageOf(raw, found) : asked.source, // of the text, as far as it is known
    about: null, // of the translation: {model, via, source, target, notes, ms}
    edits: {}, // sentences that the reader wrote anew, by where they begin
    editFlags: {}, // what the checks found in those, likewise; null for one that is not checked
    document: null, // {summaryJob, job, told, name, segments, notes}: the file that comes back, by its sentences
    failure: null, // why it is unfinished, in words
    wasLate: false, // a request's time did not suffice; a job has more
    isHopeless: false, // the same again would fail again
    state: "running", // "done", "unfinished"
  };
}

export const translated = (draft) => (draft.parts ? assemble(draft.parts, new Text(draft.toTranslate), draft.edits) : "");

export const isUnfinished = (draft) => Boolean(draft.parts?.some((part) => part.state !== "done"));

export const titleOf = (draft) => draft.file ?? (draft.article?.title || draft.raw.trim().split("\n", 1)[0].slice(0, 120));
