// Does what a draft asks for, step by step, and tells the views; whatever is done stays in the draft when a step fails.

import { languageName, limits, takes } from "./choices.js";
import { isUnfinished } from "./draft.js";
import { duration, lacksSource } from "./failures.js";
import * as jobs from "./jobs.js";
import { plainMarkdown } from "./kinds.js";
import { cut, leftover, progress } from "./parts.js";
import { Problem, post, stream } from "./service.js";
import { Text } from "./text.js";
import { named, number } from "./words.js";

const LONG_CHARACTERS = 8000; // beyond these the work is done in jobs, in parts of a third
const AHEAD = 20; // jobs handed in at once, so that they go on when this page is closed
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
  const isMarkup = draft.kind === "page" || draft.kind === "html";
  if (draft.kind === "markdown") draft.article.text = plainMarkdown(draft.raw);
  if (["markdown", "xml"].includes(draft.kind) || raw.length > (isMarkup ? limits.page : limits.request)) return;
  how.say("Reading the article …");
  const answer = await post("v1/clean", { [isMarkup ? "html" : "text"]: draft.raw }, how);
  const heading = answer.title ? `${answer.title}\n\n` : "";
  draft.article = {
    text: heading + answer.text,
    title: answer.title || "",
    bodyStart: new Text(heading).length,
    dropped: answer.dropped,
  };
  if (draft.kind !== "html") draft.toTranslate = draft.article.text;
}

// ---------------------------------------------------------------------- the summary

async function summarize(draft, how) {
  how.say("Summarizing …");
  how.summary.start();
  try {
    draft.summary = await summaryIn(draft.asked.target, draft, how);
  } catch (error) {
    if (!lacksSource(error) || !draft.asked.target) throw error;
    draft.summary = await summaryIn("", draft, how); // which needs no translation
    const into = languageName(draft.asked.target);
    draft.summary.notes.push(`It stands in the article's own language: the model cannot translate that into ${into}.`);
  }
  how.summary.show(draft);
}

async function summaryIn(target, draft, how) {
  const options = { length: draft.asked.length, ...modelFor(draft, "summarize") };
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

function summaryByJob(body, draft, how) {
  const begun = (id) => { draft.summaryJob = id; how.keep(); };
  return jobs.whole({ task: "summarize", ...body }, how, { known: draft.summaryJob, begun, seen: () => {} });
}

// ---------------------------------------------------------------------- the translation

async function translate(draft, how) {
  const text = new Text(draft.toTranslate);
  const byJobs = isLong(draft.toTranslate) || draft.wasLate;
  draft.parts ??= cut(draft.toTranslate, draft.format, byJobs ? Math.min(LONG_CHARACTERS, limits.request) / 3 : Infinity);
  draft.parts = draft.parts.flatMap((part) => leftover(part, text, draft.format));
  how.translation.show(draft);
  const clock = new Progress(draft, text, how);
  clock.tell();
  if (byJobs) await everyPart(draft, how, clock);
  else for (const part of draft.parts) if (part.state !== "done") await asItComes(part, draft, text, how, clock);
  how.translation.show(draft);
}

function bodyOf(part, draft, text) {
  const { source, target, glossary } = draft.asked;
  const known = source !== "auto" || !draft.language || draft.parts.length < 2 ? source : draft.language;
  return {
    text: text.slice(part.start, part.end), target, source: known, format: draft.format,
    ...modelFor(draft, "translate"), ...(glossary ? { glossary } : {}),
  };
}

async function asItComes(part, draft, text, how, clock) {
  part.state = "running";
  const segment = (event) => {
    const placed = moved(event, part.start);
    const at = part.segments.findIndex((each) => each.index >= placed.index);
    part.total = event.total;
    const again = part.segments[at]?.index === placed.index;
    part.segments.splice(at < 0 ? part.segments.length : at, again ? 1 : 0, placed);
    how.translation.add(placed, draft);
    clock.tell();
    how.keep();
  };
  const answer = await stream("v1/translate", { ...bodyOf(part, draft, text), partial: true }, { ...how, on: { segment } });
  finish(part, answer, draft);
  if (answer.partial) throw new Problem({ type: "/problems/deadline-exceeded" });
}

async function everyPart(draft, how, clock) {
  const text = new Text(draft.toTranslate);
  const left = draft.parts.filter((part) => part.state !== "done");
  const failures = [];
  while (left.length) {
    for (const part of left.slice(0, AHEAD)) {
      if (part.job) continue;
      part.job = (await post("v1/jobs", { task: "translate", ...bodyOf(part, draft, text) }, how)).id;
      part.state = "running";
      how.keep();
    }
    const part = left.shift();
    try {
      const seen = ({ status, progress: told }) => clock.tell(status === "running" && told.total > 1 ? { [part.start]: told } : {});
      const body = { task: "translate", ...bodyOf(part, draft, text) };
      const answer = await jobs.whole(body, how, { known: part.job, begun: (id) => { part.job = id; }, seen });
      finish(part, answer, draft);
      how.translation.show(draft);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      part.job = null;
      failures.push(error);
      if (failures.length > 2) break;
    }
    how.keep();
  }
  if (failures.length) throw failures[0];
}

// What is handed in and not done is not wanted any more.
export function cancel(draft, how) {
  for (const part of draft.parts ?? []) {
    if (part.job && part.state !== "done") jobs.forget(part.job, how);
    part.job = null;
  }
  if (draft.summaryJob && !draft.summary) jobs.forget(draft.summaryJob, how);
  draft.summaryJob = null;
}

function finish(part, answer, draft) {
  part.state = answer.partial ? "waiting" : "done";
  part.text = answer.partial ? null : answer.translation;
  part.segments = answer.segments
    .map((segment, index) => moved({ ...segment, index }, part.start))
    .filter((segment) => !segment.missing);
  part.job = null;
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

// "137 of about 410 sentences, about 2 minutes left": measured since this run began.
class Progress {
  constructor(draft, text, how) {
    Object.assign(this, { draft, text, how, since: performance.now() });
    this.before = progress(draft.parts, text).share;
  }

  tell(begun) {
    const now = progress(this.draft.parts, this.text, begun);
    const seconds = (performance.now() - this.since) / 1000;
    const gained = now.share - this.before;
    const left = gained > 0.02 && seconds > TICK_S && isUnfinished(this.draft) ? (seconds / gained) * (1 - now.share) : 0;
    const about = now.isExact ? "" : "about ";
    this.how.say(
      `Translating into ${named(this.draft.asked.target)}: ${number(now.done)} of ${about}${number(now.total)} sentences` +
        (left > 1 ? `, about ${duration(left)} left` : ""),
      now.share,
    );
  }
}
