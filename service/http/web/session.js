// The work at hand: begun, gone on with, stopped, shown again after a reload, and cleared away.

import { ArticleView } from "./article.js";
import * as choices from "./choices.js";
import { DocumentView } from "./document_view.js";
import * as documents from "./documents.js";
import { isUnfinished, newDraft, titleOf, translated } from "./draft.js";
import * as editing from "./editing.js";
import { explain, explained, isHopeless, waitingWords, wantsKey } from "./failures.js";
import * as keep from "./keep.js";
import { t } from "./language.js";
import { look, tooLong } from "./looking.js";
import * as memory from "./memory.js";
import { Problem, post } from "./service.js";
import { SummaryView } from "./summary_view.js";
import { Text } from "./text.js";
import { TranslationView } from "./translation_view.js";
import { $ } from "./words.js";
import { cancel, taskFields, work } from "./work.js";

const article = new ArticleView();
const summary = new SummaryView(article);
const translation = new TranslationView("#translation", article, editSentence);
const document_ = new DocumentView(article, () => documents.download(draft, how()).catch(complain));
export const views = { summary, translation, document: document_ };
const all = Object.values(views);
const SUFFIXES = { markdown: "md", html: "html", xml: "xml" };

let draft = null; // what is shown, or in work
let given = {}; // a file or a web page that stands for the box's text
let running = null; // the controller of the work
let before = null; // the draft that was shown until Go: it stays if nothing comes of the new one
let wiped = null; // what Clear or another file took away: {draft, given, raw}

const how = (signal, own = draft) => ({
  key: key(), signal, say, article, summary, translation, document: document_,
  waiting: (problem, seconds) => say(waitingWords(problem, seconds)),
  keep: () => keep.keep(own),
});

// ---------------------------------------------------------------------- what is said

function say(words, share = 0) {
  if ($("#status").textContent !== words) $("#status").textContent = words;
  $(".progress").style.setProperty("--share", share);
  $(".progress").classList.toggle("counted", share > 0);
}

export function complain(error) {
  if (wantsKey(error)) return askForKey(error);
  $("#problem").replaceChildren(...explained(error));
  $("#problem").hidden = false;
  $("#problem").scrollIntoView({ block: "nearest" });
  return null;
}

function quiet() {
  say("");
  wiped = null;
  $("#undo").hidden = true;
  $("#problem").hidden = true;
  $("#unfinished").hidden = true;
}

// ---------------------------------------------------------------------- the work

export async function go() {
  if (running) return null;
  const isFile = given.file && !documents.isReadHere(given.file);
  const raw = $("#article").value;
  const { make, target } = choices.chosen();
  $("#problem").hidden = true;
  if (!isFile && !raw.trim()) return complain(new Problem({ detail: t("need.article") }));
  if (make !== "summary" && !target) return complain(new Problem({ detail: t("need.target") }));
  const length = new Text(raw).length;
  if (length > choices.limits.job) return complain(new Problem({ detail: tooLong(length, choices.limits.job) }));
  before = all.some((view) => view.text) ? draft : null;
  draft = newDraft(raw, { kind: given.kind, file: isFile ? given.file.name : null });
  for (const view of all) view.clear();
  return run();
}

// Do what is left of the draft; another may have taken its place by the end.
export async function run() {
  quiet();
  old(false);
  working(new AbortController());
  const own = draft;
  own.state = "running";
  own.failure = null;
  try {
    const told = how(running.signal);
    await (own.file ? documents.workOnFile(own, given.file, told) : work(own, told));
    if (draft !== own) return;
    own.state = "done";
    say(doneWords(own));
  } catch (error) {
    if (draft !== own) return;
    if (error.name === "AbortError") await callOff();
    if (draft !== own) return;
    fail(error);
    if (before && !all.some((view) => view.text)) draft = before;
  }
  before = null;
  working(null);
  if (draft !== own) {
    show();
    if ($("#article").value !== draft.raw) article.hide();
  }
  settle();
  if (draft !== own) compare();
}

const doneWords = ({ about }) =>
  about && about.source === about.target ? t("status.same", { language: choices.languageName(about.target) }) : t("status.done");

function fail(error) {
  const isStopped = error.name === "AbortError";
  draft.state = "unfinished";
  for (const part of draft.parts ?? []) if (part.state === "running") part.state = "waiting";
  draft.failure = isStopped ? t("status.stopped") : explain(error);
  draft.isHopeless = isHopeless(error);
  draft.wasLate ||= error.kind === "deadline-exceeded";
  say(isStopped ? t("status.stopped") : "");
  if (!isStopped && !all.some((view) => view.text)) complain(error);
}

const callOff = () => Promise.all([cancel(draft, how()), documents.cancelFile(draft, how())]);

// Turn away from a draft in work: its jobs go on, and so does it when it is shown again.
function leaveRunning() {
  before = null;
  if (!running) return;
  keep.keepNow(draft);
  const was = running;
  draft = null;
  was.abort();
  working(null);
}

// Show what there is after a run, and what is missing.
function settle() {
  if (draft.parts) {
    if (isUnfinished(draft)) translation.show(draft);
    else translation.close(draft);
  }
  for (const view of all) view.section.hidden = !view.text;
  if (!all.some((view) => view.text)) article.hide();
  const isLeft = draft.state === "unfinished" && (draft.article || draft.document) && all.some((view) => view.text);
  $("#unfinished").hidden = !isLeft;
  if (isLeft) {
    const parts = draft.parts ?? (draft.document?.segments ? [draft.document] : []);
    const done = parts.reduce((sum, part) => sum + part.segments.length, 0);
    const kept = done ? t("unfinished.some", { count: done }) : t("unfinished.none");
    $("#go-on").hidden = Boolean(draft.isHopeless);
    $("#unfinished p").textContent = `${kept} ${draft.failure}`;
  }
  keep.keepNow(draft);
}

// Stop stands in Go's place meanwhile, and takes the keyboard with it.
function working(controller) {
  running = controller;
  const [shown, gone] = controller ? [$("#stop"), $("#go")] : [$("#go"), $("#stop")];
  const held = document.activeElement === gone;
  shown.hidden = false;
  gone.hidden = true;
  if (held) shown.focus();
  $("main").setAttribute("aria-busy", String(Boolean(controller)));
}

// Show a draft that was kept; one that was in work when this page went goes on.
export function restore(kept) {
  leaveRunning();
  quiet();
  draft = kept;
  given = {};
  $("#article").value = draft.raw;
  choices.apply(draft.asked);
  show();
  showFile();
  examine();
  if (draft.state === "running") return run();
  settle();
  if (draft.state === "done") say(doneWords(draft));
  return null;
}

function show() {
  for (const view of all) view.clear();
  if (draft.article) article.show(draft);
  if (draft.summary) summary.show(draft);
  if (draft.parts) translation.show(draft);
  if (draft.document?.segments?.length) document_.show(draft);
}

// Show all in another language of the page.
export function redraw() {
  examine();
  if (!draft || running) return;
  const isEdited = $("#read").hidden;
  show();
  if (isEdited) article.hide();
  settle();
  compare();
}

export const stop = () => running?.abort();

// The name that a result is saved under: the article's and the language's.
export function fileName(part) {
  const language = part === "summary" ? draft.summary.language : draft.about?.target ?? draft.asked.target;
  const suffix = (part === "translation" && SUFFIXES[draft.format]) || "txt";
  const title = titleOf(draft).replace(/\.[a-z]{1,5}$/i, "").replace(/[^\p{L}\p{M}\p{N}]+/gu, "-").slice(0, 60).replace(/^-+|-+$/g, "");
  return `${title || part}.${part === "summary" ? "summary." : ""}${language}.${suffix}`;
}

// What the page shows is kept as it goes.
export function leave() {
  if (draft) keep.keepNow(draft);
}

// The reader turns to the article's text again.
export function edit() {
  article.hide();
  $("#article").focus();
}

// ---------------------------------------------------------------------- what was changed since

function old(isOld) {
  $(".results").classList.toggle("old", isOld);
}

export function changed() {
  $("#problem").hidden = true;
  compare();
}

function compare() {
  if (!draft || running || !all.some((view) => view.text)) return;
  const now = JSON.stringify([choices.chosen(), $("#article").value]);
  const isOld = now !== JSON.stringify([draft.asked, draft.raw]);
  old(isOld);
  say(isOld ? t("status.changed") : draft.state === "done" ? doneWords(draft) : "");
}

export function examine() {
  look($("#article").value, choices.chosen().format || given.kind, { key: key() });
}

function editSentence(row, segment) {
  const { start } = segment.source;
  const own = draft;
  const target = draft.about?.target ?? draft.asked.target;
  const source = row.firstElementChild.textContent;
  const before = draft.edits[start] ?? segment.text;
  const done = (now, { remember, suggest } = {}) => {
    if (now && now !== before) {
      draft.edits[start] = now;
      draft.editFlags[start] = null;
      check(now);
    }
    if (remember) send(memory.keep, now, own.language, "status.remembered");
    if (suggest) send(editing.suggest, now, own.language ?? "auto", "status.suggested");
    translation.redraw(segment, draft);
    keep.keepNow(draft);
    translation.rows.get(start).focus();
  };
  const check = async (output) => {
    const fields = { source, output, kind: "translation", source_language: own.language ?? "auto", target };
    const answer = await post("v1/check", fields, how()).catch(() => null); // the tally tells what is not checked
    if (!answer || draft !== own || own.edits[start] !== output) return;
    own.editFlags[start] = answer.sentences.flatMap((sentence) => sentence.flags);
    if (!translation.rows.get(start).classList.contains("editing")) translation.redraw(segment, own);
    keep.keepNow(own);
  };
  const send = (to, words, language, thanks) =>
    to({ text: source, translation: words, source: language, target }, how()).then(() => say(t(thanks)), complain);
  const others = (signal) => {
    const asked = { ...taskFields(draft), text: source, shown: segment.text };
    return editing.others({ ...asked, source: draft.language ?? draft.asked.source }, { key: key(), signal });
  };
  // What is kept or sent is ticked first; only with a key a translation memory is the reader's own for sure.
  const offers = {
    ...(choices.isKnown ? { remember: Boolean(key()) } : {}),
    ...(choices.takesSuggestions ? { suggest: false } : {}),
  };
  editing.edit(row, before, { offers, done, others });
}

// ---------------------------------------------------------------------- the article's box

export function typed() {
  given = {};
  wiped = null;
  $("#undo").hidden = true;
  examine();
  changed();
}

export const open = (file) => tried(() => read(file));

async function read(file) {
  const refused = documents.refusal(file);
  if (refused) throw new Problem({ detail: refused });
  const text = documents.isReadHere(file) ? await documents.textOf(file) : "";
  wipe(t("status.ready", { file: file.name }));
  given = { file, kind: documents.kindOf(file) };
  $("#article").value = text;
  showFile();
  examine();
}

// Read the article or document at an address, as if it were a file; returns whether that went well.
export async function openAddress(url) {
  $("#problem").hidden = true;
  say(t("status.fetching"));
  return tried(async () => read(await documents.fetched(url, how())));
}

async function tried(act) {
  try {
    await act();
    return true;
  } catch (error) {
    say("");
    complain(error);
    return false;
  }
}

export function clear() {
  wipe(t("status.cleared"));
  keep.forget();
  (given.file ? $("#go") : $("#article")).focus();
}

// Take everything away; one step of undo brings it back.
function wipe(words) {
  const taken = { draft, given, raw: $("#article").value };
  if (running) {
    callOff();
    draft.state = "unfinished";
    draft.failure = t("status.stopped");
  }
  leaveRunning();
  draft = null;
  given = {};
  $("#article").value = "";
  showFile();
  article.hide();
  for (const view of all) view.clear();
  quiet();
  old(false);
  examine();
  say(words);
  if (!taken.draft && !taken.raw && !taken.given.file) return;
  wiped = taken;
  $("#undo").hidden = false;
}

// Bring back what was taken away; false where there is nothing to bring back.
export function undo() {
  if (!wiped) return false;
  const { draft: was, given: file, raw } = wiped;
  quiet();
  if (was) restore(was);
  else article.hide();
  given = file;
  $("#article").value = raw;
  showFile();
  examine();
  changed();
  return true;
}

// A file that only the server can read stands in the place of the box.
function showFile() {
  const name = given.file && !documents.isReadHere(given.file) ? given.file.name : draft?.file;
  $("#file-card").hidden = !name;
  $("#source").classList.toggle("has-file", Boolean(name));
  $("#file-card b").textContent = name ?? "";
  $("#file-card span").textContent = given.file ? documents.described(given.file) : "";
}

// ---------------------------------------------------------------------- the key

const card = $("#key-card");

export const key = () => keep.key();

// Ask for a key; where one was tried, say what is wrong with it.
export function askForKey(error = null) {
  $("#key-problem").textContent = error && error.kind !== "key-required" ? explain(error) : "";
  $("#key").value = key();
  if (!card.open) card.showModal();
}
