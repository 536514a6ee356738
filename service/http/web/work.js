// Does what a draft asks for, step by step, and tells the views; whatever is done stays in the draft when a step fails.

import { BROWSER, languageName, limits, takes } from "./choices.js";
import { duration, lacksSource } from "./failures.js";
import * as jobs from "./jobs.js";
import * as keep from "./keep.js";
import { plainMarkdown } from "./kinds.js";
import { t } from "./language.js";
import { leftover, place, progress, whole } from "./parts.js";
import { Problem, post, stream } from "./service.js";
import { Text } from "./text.js";

const LONG_CHARACTERS = 8000; // beyond these the work is done in jobs, which go on when this page is closed
const TICK_S = 2; // before this nobody is told how long it will take

// `how`: {key, signal, waiting, say, keep, article, summary, translation}: who asks, and who is told.
export async function work(draft, how) {
  if (!draft.article) await read(draft, how);
  how.article.show(draft);
  const failures = [];
  const wanted = draft.asked.make;
  const steps = [
    wanted !== "translation" && !draft.summary && summarize,
    wanted !== "summary" && translate,
  ].filter(Boolean);
  for (const step of steps) {
    try {
      await step(draft, how);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      failures.push(error);
    }
    how.keep();
  }
  if (failures.length) throw failures[0];
}

const isLong = (text) => text.length > Math.min(LONG_CHARACTERS, limits.request);

const modelFor = (draft, task) => (takes(task, draft.asked.model) ? { model: draft.asked.model } : {});

// ---------------------------------------------------------------------- reading

// The article is plain, and without what a web page puts around it; what is translated has its markup.
async function read(draft, how) {
  const raw = new Text(draft.raw);
  draft.article = { text: draft.raw, title: "", bodyStart: 0, dropped: [] };
  draft.toTranslate = draft.raw;
  const isMarkup = ["page", "html", "xml"].includes(draft.kind);
  if (draft.kind === "markdown") draft.article.text = plainMarkdown(draft.raw);
  if (draft.kind === "markdown" || raw.length > (isMarkup ? limits.page : limits.request)) return;
  how.say(t("status.reading"));
  const html = draft.kind === "xml" ? draft.raw.replaceAll(/<!\[CDATA\[|\]\]>/g, "") : draft.raw;
  const answer = await post("v1/clean", { [isMarkup ? "html" : "text"]: html }, how).catch((error) => {
    if (draft.kind !== "xml" || !isHopeless(error)) throw error;
  });
  if (!answer) return; // its translation needs no article
  const heading = answer.title ? `${answer.title}\n\n` : "";
  draft.article = {
    text: heading + answer.text,
    title: answer.title || "",
    bodyStart: new Text(heading).length,
    dropped: answer.dropped,
  };
  if (!["html", "xml"].includes(draft.kind)) draft.toTranslate = draft.article.text;
}

// ---------------------------------------------------------------------- the summary

async function summarize(draft, how) {
  how.say(t("status.summarizing"));
  how.summary.start();
  try {
    draft.summary = await summaryIn(draft.asked.target, draft, how);
  } catch (error) {
    if (!lacksSource(error) || !draft.asked.target) throw error;
    draft.summary = await summaryIn("", draft, how); // which needs no translation
    draft.summary.untranslated = draft.asked.target;
  }
  how.summary.show(draft);
}

async function summaryIn(target, draft, how) {
  const options = { length: draft.asked.length, format: draft.asked.layout ?? "paragraph", ...modelFor(draft, "summarize") };
  if (target) options.target = target;
  const body = { text: new Text(draft.article.text).slice(draft.article.bodyStart), clean: false, ...options };
  const answer = isLong(body.text) ? await summaryByJob(body, draft, how) : await summaryAsItComes(body, how);
  const places = answer.sentences.flatMap((sentence) => sentence.evidence);
  for (const place of places) {
    place.start += draft.article.bodyStart;
    place.end += draft.article.bodyStart;
  }
  return answer;
}

const summaryAsItComes = (body, how) =>
  stream("v1/summarize", body, {
    ...how,
    on: { token: ({ text }) => how.summary.add(text), sentence: ({ text }) => how.summary.add(`${text} `) },
  });

async function summaryByJob(body, draft, how) {
  const answer = await known(draft, "summaryJob", { task: "summarize", ...body }, how, {});
  draft.summaryJob = null;
  return answer;
}

// The answer of the job whose id the owner holds; one that it does not hold yet, or that is forgotten, is handed in.
async function known(owner, name, body, how, heard) {
  const wasKnown = owner[name];
  owner[name] ??= (await post("v1/jobs", body, how)).id;
  how.keep();
  try {
    const answer = await jobs.follow(owner[name], how, heard);
    jobs.forget(owner[name], how);
    return answer;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (error.kind !== "unknown-job") jobs.forget(owner[name], how);
    owner[name] = null;
    if (error.kind === "unknown-job" && wasKnown) return known(owner, name, body, how, { ...heard, after: 0 });
    throw error;
  }
}

// ---------------------------------------------------------------------- the translation

async function translate(draft, how) {
  const text = new Text(draft.toTranslate);
  draft.parts = (draft.parts ?? whole(text)).flatMap((part) => leftover(part, text, draft.format));
  const left = draft.parts.filter((part) => part.state !== "done");
  for (const part of left) part.state = "running";
  how.translation.show(draft);
  const clock = new Progress(draft, text, how);
  clock.tell();
  for (const part of left) await translatePart(part, draft, text, how, clock);
  how.translation.show(draft);
}

async function translatePart(part, draft, text, how, clock) {
  const body = bodyOf(part, draft, text);
  const hear = (segments, status) => {
    if (segments.length) hearSegments(part, segments, draft, how);
    clock.tell(status);
  };
  const seen = ({ segments, next, status }) => { hear(segments, status); part.told = next; };
  const byJob = part.job || isLong(body.text) || draft.wasLate;
  const answer = byJob
    ? await known(part, "job", { task: "translate", ...body }, how, { after: part.told ?? 0, seen })
    : await stream("v1/translate", { ...body, partial: true }, { ...how, on: { segment: (segment) => hear([segment]) } });
  finish(part, answer, draft);
  if (answer.partial) throw new Problem({ type: "/problems/deadline-exceeded" });
}

function hearSegments(part, segments, draft, how) {
  const placed = segments.map((segment) => moved(segment, part.start));
  for (const segment of placed) place(part, segment);
  part.total = segments.at(-1).total;
  how.translation.add(placed, draft);
  how.keep();
}

function bodyOf(part, draft, text) {
  const { source } = draft.asked;
  const known = source === "auto" && part.start > 0 ? draft.language ?? source : source;
  return { ...taskFields(draft), text: text.slice(part.start, part.end), source: known, format: draft.format };
}

// What any text of the draft is translated with.
export function taskFields(draft) {
  return { target: draft.asked.target, ...modelFor(draft, "translate"), ...glossaryOf(draft) };
}

// The glossary that was chosen: its name, or the terms that this browser keeps.
export function glossaryOf({ asked: { glossary, target } }) {
  if (!glossary) return {};
  return { glossary: glossary === BROWSER ? keep.terms()[target] ?? {} : glossary };
}

// Stop the jobs, and take what they have done; it is not shown yet.
export async function cancel(draft, how) {
  if (draft.summaryJob) jobs.callOff(draft.summaryJob, 0, how);
  draft.summaryJob = null;
  for (const part of draft.parts ?? []) {
    const { job, told } = part;
    Object.assign(part, { job: null, told: 0 });
    const last = job && (await jobs.callOff(job, told ?? 0, how));
    if (last?.partial) for (const segment of last.segments) place(part, moved(segment, part.start));
    else if (last) finish(part, last, draft);
  }
}

function finish(part, answer, draft) {
  part.state = answer.partial ? "waiting" : "done";
  part.text = answer.partial ? null : answer.translation;
  part.segments = answer.segments
    .map((segment, index) => moved({ ...segment, index }, part.start))
    .filter((segment) => !segment.missing);
  Object.assign(part, { job: null, told: 0, total: answer.segments.length });
  draft.language = answer.source.language;
  draft.about = {
    source: answer.source.language, target: answer.target, model: answer.model, via: answer.via,
    notes: [...new Set([...(draft.about?.notes ?? []), ...answer.notes])],
    ms: (draft.about?.ms ?? 0) + answer.timings_ms.total,
  };
}

function moved(segment, by) {
  const { start, end } = segment.source;
  return { ...segment, source: { start: start + by, end: end + by } };
}

// "137 of 410 sentences, about 2 minutes left": measured since this run began.
class Progress {
  constructor(draft, text, how) {
    Object.assign(this, { draft, text, how, begun: performance.now(), since: performance.now() });
    this.before = progress(draft.parts, text).share;
  }

  tell(status) {
    const { done, total, share } = progress(this.draft.parts, this.text);
    if (status === "queued") this.since = performance.now();
    const seconds = (performance.now() - this.since) / 1000;
    const gained = share - this.before;
    const left = gained > 0.02 && seconds > TICK_S ? (seconds / gained) * (1 - share) : 0;
    const how = [
      total && t("status.sentences", { done, count: total }),
      left > 1 && t("status.left", { time: duration(left) }),
      status === "queued" && performance.now() - this.begun > TICK_S * 1000 && t("status.queued"),
    ].filter(Boolean);
    const language = languageName(this.draft.asked.target);
    const words = how.length ? t("status.progress", { language, how: how.join(", ") }) : t("status.translating", { language });
    this.how.say(words, share);
  }
}
