// Files that only the server can read: handed in as jobs; the translation is looked at here before it is downloaded.

import { cheapest, limits, takes } from "./choices.js";
import * as jobs from "./jobs.js";
import { number, t } from "./language.js";
import { place } from "./parts.js";
import { Problem, request, send, sendFile } from "./service.js";
import { listed, save, short } from "./words.js";
import { glossaryOf } from "./work.js";

const FETCHED = "application/x-fetched";
const PAGE = /\.x?html?$/i;
const XML = /\.xml$/i;
const READ_HERE = /\.(?:txt|md|markdown|x?html?|xml)$/i;

// Why a file cannot be taken, in words; null for one that can.
export function refusal({ name, type }) {
  const suffix = /\.[^.]+$/.exec(name)?.[0].toLowerCase() ?? "";
  if (limits.suffixes.includes(suffix)) return null;
  const kind = type.startsWith("image/") ? "picture" : type.startsWith("audio/") || type.startsWith("video/") ? "recording" : "unknown";
  return t(`file.${kind}`, { name: short(name, 60), suffixes: listed(limits.suffixes) });
}

// The article or document at an address, as a file; the server fetches it.
export async function fetched(url, how) {
  const response = await send("v1/fetch", { url }, how);
  return new File([await response.blob()], nameOf(response), { type: FETCHED });
}

// What a text file says; one that declares no other encoding must be UTF-8, as what the server fetched is.
export async function textOf(file) {
  const bytes = await file.arrayBuffer();
  const begins = new TextDecoder("windows-1252").decode(bytes.slice(0, 2048));
  const marked = { "\u00ff\u00fe": "utf-16le", "\u00fe\u00ff": "utf-16be" }[begins.slice(0, 2)];
  const declared = file.type !== FETCHED && kindOf(file) && /<(?:meta|\?xml)\b[^>]*(?:charset|encoding)=["']?([\w-]+)/i.exec(begins)?.[1];
  try {
    const text = new TextDecoder(marked || declared || "utf-8", { fatal: true }).decode(bytes);
    const declaration = text.slice(0, 200).replace(/^(\s*<\?xml\b[^>]*?)\s+encoding=["'][^"']*["']/, "$1");
    return declaration + text.slice(200); // as a string it has no encoding
  } catch {
    throw new Problem({ detail: t("file.encoding", { name: short(file.name, 60) }) });
  }
}

// "PDF, 1.2 MB"
export function described({ name, size }) {
  const [value, unit] = size < 1e6 ? [Math.ceil(size / 1000), "kB"] : [size / 1e6, "MB"];
  return `${name.split(".").pop().toUpperCase()}, ${number(value, { maximumFractionDigits: 1 })} ${unit}`;
}

// What a text file is by its name; null where its text must tell.
export const kindOf = ({ name }) => (PAGE.test(name) ? "page" : XML.test(name) ? "xml" : null);

export const isReadHere = ({ name }) => READ_HERE.test(name);

export async function workOnFile(draft, file, how) {
  const { make, length, layout, source, target } = draft.asked;
  const own = { summaryJob: null, job: null, told: 0, name: null, segments: [], notes: "", ...draft.document };
  draft.document = own;
  const handIn = async (fields) => {
    if (!file) throw new Problem({ detail: t("file.again", { name: draft.file }) });
    return (await (await sendFile("v1/jobs", file, fields, how)).json()).id;
  };
  const model = (task) => (takes(task, draft.asked.model) ? draft.asked.model : null);
  if (make !== "summary") own.job ??= await handIn({ task: "translate", target, source, model: model("translate"), glossary: glossaryField(draft) });
  const steps = [];
  if (!draft.article) {
    const isOnlyRead = make === "translation";
    const fields = isOnlyRead ? { length: "headline", model: cheapest() } : { length, format: layout, target, model: model("summarize") };
    own.summaryJob ??= await handIn({ task: "summarize", ...fields });
    steps.push(readFile(draft, how, isOnlyRead));
  }
  how.keep();
  if (make !== "summary") steps.push(translateFile(draft, how));
  const failed = (await Promise.allSettled(steps)).find(({ status }) => status === "rejected");
  if (failed) throw failed.reason;
}

// Of a form: terms as JSON, or a glossary's name.
function glossaryField(draft) {
  const { glossary = null } = glossaryOf(draft);
  return typeof glossary === "object" ? glossary && JSON.stringify(glossary) : glossary;
}

async function readFile(draft, how, isOnlyRead) {
  const seen = ({ status }) => {
    if (draft.document.segments.length) return; // of which more is told
    how.say(t(status === "queued" ? "status.document.queued" : "status.document.reading"));
  };
  const answer = await jobs.follow(draft.document.summaryJob, how, { seen });
  draft.article = { text: answer.source.text, title: "", bodyStart: 0, dropped: answer.source.dropped };
  how.article.show(draft);
  if (!isOnlyRead) {
    draft.summary = answer;
    how.summary.show(draft);
  }
  how.keep();
}

async function translateFile(draft, how) {
  const own = draft.document;
  const seen = ({ progress: { done, total }, segments, next }) => {
    for (const segment of segments) place(own, segment);
    own.told = next;
    if (!own.segments.length) return;
    how.say(t("status.document", { done, count: total }), done / total);
    if (segments.length) how.document.show(draft);
    how.keep();
  };
  await jobs.follow(own.job, how, { after: own.told, seen });
  const made = await request(`v1/jobs/${own.job}/result`, { method: "HEAD" }, how);
  own.name = nameOf(made);
  own.notes = made.headers.get("Dragoman-Notes") ?? "";
  how.document.show(draft);
}

export async function download(draft, how) {
  const response = await request(`v1/jobs/${draft.document.job}/result`, {}, how);
  save(nameOf(response), await response.blob());
}

// Stop the jobs of a file that is not done; the sentences that are there stay.
export async function cancelFile({ document: own }, how) {
  if (!own || own.name) return;
  const { job, summaryJob, told } = own;
  Object.assign(own, { job: null, summaryJob: null, told: 0 });
  if (summaryJob) jobs.callOff(summaryJob, 0, how);
  const last = job && (await jobs.callOff(job, told, how));
  for (const segment of last?.segments ?? []) place(own, segment);
}

const nameOf = (response) =>
  /filename="?([^";]+)/.exec(response.headers.get("Content-Disposition") || "")?.[1] ?? "translation";
