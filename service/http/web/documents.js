// Files that only the server can read: handed in as jobs; the translation is looked at here before it is downloaded.

import { cheapest, limits, takes } from "./choices.js";
import * as jobs from "./jobs.js";
import { Problem, get, post, request, sendFile } from "./service.js";
import { count, listed, save, short } from "./words.js";

const READ_HERE = /\.(?:txt|md|markdown|html?)$/i;

// Why a file cannot be taken, in words; null for one that can.
export function refusal({ name, type }) {
  const suffix = /\.[^.]+$/.exec(name)?.[0].toLowerCase() ?? "";
  if (limits.suffixes.includes(suffix)) return null;
  const kind = type.startsWith("image/") ? "a picture" : type.startsWith("audio/") || type.startsWith("video/") ? "a recording" : "a file of a kind";
  return `${short(name, 60)} is ${kind} that cannot be read here. Drop or open a text in one of these: ${listed(limits.suffixes)}.`;
}

export const isReadHere = ({ name }) => READ_HERE.test(name);

export async function workOnFile(draft, file, how) {
  const { make, length, source, target } = draft.asked;
  draft.document ??= { summaryJob: null, job: null, name: null, translation: null, checked: null, notes: "" };
  const own = draft.document;
  const handIn = async (fields) => {
    if (!file) throw new Problem({ detail: `open ${draft.file} again: this page was loaded anew meanwhile` });
    return (await (await sendFile("v1/jobs", file, fields, how)).json()).id;
  };
  const model = (task) => (takes(task, draft.asked.model) ? draft.asked.model : null);
  if (make !== "summary") own.job ??= await handIn({ task: "translate", target, source, model: model("translate") });
  if (!draft.article) {
    how.say("Reading the document …");
    const isOnlyRead = make === "translation";
    const fields = isOnlyRead ? { length: "headline", model: cheapest() } : { length, target, model: model("summarize") };
    own.summaryJob ??= await handIn({ task: "summarize", ...fields });
    how.keep();
    await jobs.follow(own.summaryJob, how, () => {});
    const answer = await get(`v1/jobs/${own.summaryJob}/result`, how);
    draft.article = { text: answer.source.text, title: "", bodyStart: 0, dropped: answer.source.dropped };
    how.article.show(draft);
    if (!isOnlyRead) {
      draft.summary = answer;
      how.summary.show(draft);
    }
    how.keep();
  }
  if (make === "summary") return;
  await jobs.follow(own.job, how, ({ progress: { done, total } }) => {
    how.say(`Translating the document: ${done} of ${count(total, "piece")}`, total ? done / total : 0);
  });
  await preview(draft, how);
  how.document.show(draft);
}

// The translated file's text, and what the checks find in it.
async function preview(draft, how) {
  how.say("Looking through the translation …");
  const own = draft.document;
  const response = await request(`v1/jobs/${own.job}/result`, {}, how);
  own.name = nameOf(response);
  own.notes = response.headers.get("Dragoman-Notes") ?? "";
  const file = new File([await response.blob()], own.name);
  const fields = { length: "headline", model: cheapest() };
  own.translation = (await (await sendFile("v1/documents/summarize", file, fields, how)).json()).source.text;
  const body = { source: draft.article.text, output: own.translation, kind: "translation", target: draft.asked.target };
  own.checked = (await post("v1/check", body, how)).sentences;
}

export async function download(draft, how) {
  const response = await request(`v1/jobs/${draft.document.job}/result`, {}, how);
  save(nameOf(response), await response.blob());
}

export function cancelFile({ document: own }, how) {
  if (own?.job && !own.name) jobs.forget(own.job, how);
  if (own?.job && !own.name) own.job = null;
}

const nameOf = (response) =>
  /filename="?([^";]+)/.exec(response.headers.get("Content-Disposition") || "")?.[1] ?? "translation";
