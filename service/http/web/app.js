// The page: what the user does, and what follows from it.

import { Problem, get, post, sendFile, stream } from "./service.js";
import { Text } from "./text.js";
import { Article, SummaryView, TranslationView } from "./view.js";

const $ = (selector) => document.querySelector(selector);
const DOCUMENTS = /\.(docx|pdf|srt)$/i;
const PAGES = /\.html?$/i;

const summary = new SummaryView();
const translation = new TranslationView();
let opened = null; // a file that only the service can read
let html = null; // a web page, whose article the service finds
let running = null;

// ---------------------------------------------------------------------- light and dark

function paint(theme) {
  document.documentElement.dataset.theme = theme;
  $("#theme").setAttribute("aria-pressed", String(theme === "dark"));
}
paint(localStorage.getItem("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
$("#theme").addEventListener("click", () => {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", theme);
  paint(theme);
});

// ---------------------------------------------------------------------- what is asked

const key = () => $("#key").value.trim();
const make = () => $("input[name=make]:checked").value;

async function fillLanguages() {
  const [{ languages }, { models }] = await Promise.all([get("v1/languages", key()), get("v1/models", key())]);
  const model = models.find((each) => each.default_for.includes("translate"))?.name;
  const own = languages.filter((each) => each.models.includes(model));
  const select = $("#target");
  select.replaceChildren(select.options[0]);
  for (const { code, name } of (own.length ? own : languages).sort((a, b) => a.name.localeCompare(b.name))) {
    select.add(new Option(name, code));
  }
  const wanted = [localStorage.getItem("target"), navigator.language.split("-")[0], "fr"];
  const known = new Set([...select.options].map((option) => option.value));
  select.value = wanted.find((code) => code && code !== "en" && known.has(code)) ?? "";
}

function say(words) {
  $("#status").textContent = words;
}

function complain(error) {
  const box = $("#problem");
  box.hidden = false;
  const allowed = error instanceof Problem ? error.document.allowed : null;
  const list = Array.isArray(allowed) ? allowed.slice(0, 20).join(", ") : allowed;
  box.replaceChildren(...[error.message, list && `Allowed: ${list}`].filter(Boolean).map((words) => {
    const line = document.createElement("p");
    line.textContent = words;
    return line;
  }));
  if (error instanceof Problem && [401, 403].includes(error.document.status)) $("#key-box").open = true;
}

// ---------------------------------------------------------------------- the article's two states

function reading(article) {
  $("#article").hidden = true;
  $("#read").hidden = false;
  $("#edit").hidden = false;
  article.cut([]);
}

function editing() {
  $("#article").hidden = false;
  $("#read").hidden = true;
  $("#edit").hidden = true;
  $("#dropped").hidden = true;
}

async function open(file) {
  editing();
  $("#problem").hidden = true;
  opened = DOCUMENTS.test(file.name) ? file : null;
  html = null;
  const text = opened ? "" : await file.text();
  if (PAGES.test(file.name)) html = text;
  $("#article").value = text;
  say(opened ? `${file.name} is ready.` : "");
}

// ---------------------------------------------------------------------- the work

// The article without what the web page put around it, as all that follows reads it.
async function clean(text, how) {
  say("Reading the article …");
  const answer = await post("v1/clean", { [html ? "html" : "text"]: text }, how);
  const heading = answer.title ? `${answer.title}\n\n` : "";
  const article = new Article(heading + answer.text);
  article.body = answer.text;
  article.bodyStart = new Text(heading).length;
  article.titleEnd = new Text(answer.title || "").length;
  article.leftOut(answer.dropped);
  reading(article);
  return article;
}

async function summarize(article, how) {
  say("Summarizing …");
  summary.start();
  const body = { text: article.body, clean: false, length: $("#length").value, target: $("#target").value || null };
  const answer = await stream("v1/summarize", body, {
    ...how,
    on: { token: ({ text }) => summary.add(text), sentence: ({ text }) => summary.add(`${text} `) },
  });
  for (const sentence of answer.sentences) {
    for (const evidence of sentence.evidence) {
      evidence.start += article.bodyStart;
      evidence.end += article.bodyStart;
    }
  }
  article.cut(answer.sentences.flatMap((sentence) => sentence.evidence));
  summary.show(answer, article);
}

async function translate(article, how) {
  say("Translating …");
  translation.start();
  const answer = await stream("v1/translate", { text: article.text.whole, target: $("#target").value }, {
    ...how,
    on: {
      segment: (segment) => {
        translation.add(segment.index, segment, article);
        say(`Translating … ${translation.rows.size} sentences so far`);
      },
    },
  });
  article.cut(answer.segments.map((segment) => segment.source));
  translation.show(answer, article);
}

async function ofDocument(how, wanted) {
  const target = $("#target").value;
  if (wanted !== "translation") {
    say("Reading the document …");
    summary.start();
    const fields = { length: $("#length").value, target };
    const answer = await (await sendFile("v1/documents/summarize", opened, fields, how)).json();
    const article = new Article(answer.source.text);
    article.leftOut(answer.source.dropped);
    article.cut(answer.sentences.flatMap((sentence) => sentence.evidence));
    reading(article);
    summary.show(answer, article);
  }
  if (wanted !== "summary") {
    say("Translating the document …");
    await download(await sendFile("v1/documents/translate", opened, { target }, how));
  } else {
    say("Done.");
  }
}

async function download(response) {
  const name = /filename="?([^";]+)/.exec(response.headers.get("Content-Disposition") || "")?.[1] ?? "translation";
  save(name, await response.blob());
  say(`${name} was downloaded.`);
}

async function work(how) {
  const wanted = make();
  if (wanted !== "summary" && !$("#target").value) {
    throw new Problem({ detail: "Choose the language to translate into." });
  }
  if (opened) return ofDocument(how, wanted);
  const article = await clean($("#article").value, how);
  if (wanted !== "translation") await summarize(article, how);
  if (wanted !== "summary") await translate(article, how);
  say("Done.");
}

// Right after its start the service is not ready yet; what was asked begins by itself when it is.
async function workWhenReady(how) {
  for (;;) {
    try {
      return await work(how);
    } catch (error) {
      if (!(error instanceof Problem) || error.document.type !== "/problems/not-ready") throw error;
    }
    say("The models are being loaded. This begins by itself as soon as they are there …");
    await new Promise((resolve) => setTimeout(resolve, 2000));
    how.signal.throwIfAborted();
  }
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

async function go() {
  $("#problem").hidden = true;
  summary.clear();
  translation.clear();
  working(new AbortController());
  try {
    await workWhenReady({ key: key(), signal: running.signal });
  } catch (error) {
    say(error.name === "AbortError" ? "Stopped." : "");
    if (error.name !== "AbortError") complain(error);
    for (const view of [summary, translation]) view.section.hidden = !view.text;
    if (!summary.text && !translation.text) editing();
  } finally {
    working(null);
  }
}

function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

// ---------------------------------------------------------------------- what the user does

$("#form").addEventListener("submit", (event) => { event.preventDefault(); if (!running) go(); });
$("#stop").addEventListener("click", () => running?.abort());
$("#edit").addEventListener("click", () => { editing(); $("#article").focus(); });
$("#clear").addEventListener("click", () => {
  opened = html = null;
  $("#article").value = "";
  editing();
  say("");
  $("#problem").hidden = true;
  summary.clear();
  translation.clear();
  $("#article").focus();
});
$("#article").addEventListener("input", () => { opened = html = null; });
$("#article").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("#form").requestSubmit();
});
$("#file").addEventListener("change", (event) => { if (event.target.files[0]) open(event.target.files[0]); event.target.value = ""; });
$("#target").addEventListener("change", () => localStorage.setItem("target", $("#target").value));
$("#key").addEventListener("change", () => {
  $("#problem").hidden = true;
  fillLanguages().catch(complain);
});

const source = $("#source");
source.addEventListener("dragover", (event) => { event.preventDefault(); source.classList.add("dropping"); });
source.addEventListener("dragleave", () => source.classList.remove("dropping"));
source.addEventListener("drop", (event) => {
  source.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file) { event.preventDefault(); open(file); }
});

for (const [name, view] of [["summary", summary], ["translation", translation]]) {
  const copy = $(`[data-copy=${name}]`);
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(view.text);
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  });
  $(`[data-download=${name}]`).addEventListener("click", () => save(`${name}.txt`, new Blob([view.text], { type: "text/plain" })));
}

fillLanguages().catch(complain);
