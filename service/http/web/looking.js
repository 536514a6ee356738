// Looks at a text while it is pasted or typed: how long it is, what it is, and which language it is in.

import { limitWords, limits, showDetected } from "./choices.js";
import { kindOf, kindWords } from "./kinds.js";
import { t } from "./language.js";
import { post } from "./service.js";
import { Text } from "./text.js";
import { $ } from "./words.js";

const ENOUGH = 600; // characters that the language is found by
const AFTER_MS = 700; // without a key pressed
const SURE = 0.5;

let timer = null;
let looked = "";
let found = null;

// Say it under the box, and the language in the picker; `how` is {key}.
export function look(text, format, how) {
  const length = new Text(text).length;
  const kind = format || kindOf(text);
  const most = kind === "page" ? limits.page : limits.job;
  const words = [];
  if (text) words.push(limitWords(length, most));
  if (text.trim()) words.push(t(format ? "count.read-as" : "count.looks-like", { kind: kindWords(kind) }));
  $("#count").textContent = words.join(" · ");
  $("#count").classList.toggle("over", length > most);
  const sample = plain(text, kind).slice(0, ENOUGH);
  clearTimeout(timer);
  if (sample.length < 12) {
    looked = "";
    showDetected(null);
  } else if (sample === looked) {
    showDetected(found);
  } else {
    timer = setTimeout(() => detect(sample, how), AFTER_MS);
  }
}

async function detect(sample, { key }) {
  [looked, found] = [sample, null];
  // Nobody waits for this: where it fails, the run itself will tell the language.
  const answer = await post("v1/detect", { text: sample }, { key, signal: AbortSignal.timeout(10_000) }).catch(() => null);
  if (looked !== sample) return;
  found = answer && answer.confidence >= SURE ? answer.language : null;
  showDetected(found);
}

// The language that was found for this text, if one was.
export const languageOf = (text, kind) => (plain(text, kind).slice(0, ENOUGH) === looked ? found : null);

const plain = (text, kind) => (kind === "text" ? text : text.slice(0, 20_000).replace(/<[^<>]*>|[#*`]/g, " ")).trim();

export const tooLong = (length, most) => t("need.shorter", { length, most });
