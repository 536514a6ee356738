// What can be chosen, from the server's own lists, and what is chosen; a link carries it, never the text.

import * as keep from "./keep.js";
import { knows, locale, t } from "./language.js";
import { get } from "./service.js";
import { $, element, named, sentence } from "./words.js";

const PICKERS = ["source", "target", "model", "length", "layout", "format", "glossary"];
const KIND_NAMES = { markdown: "Markdown", html: "HTML", xml: "XML" };

export const BROWSER = "browser"; // the glossary that is kept here, and not on the server

export const limits = { request: Infinity, page: Infinity, job: Infinity, suffixes: [] };

export let isFilled = false;
export let isKnown = false; // the server keeps things for whoever has a key, and for its operator
export let takesSuggestions = false;
let models = [];

// States of models that answer at once, or after some seconds; of the others the picker says how far they are.
const HERE = new Set(["bundled", "on disk", "at a server", "ready"]);
let languages = [];

const picker = (name) => $(`#${name === "source" ? "from" : name}`);
const make = () => $("input[name=make]:checked").value;

export function chosen() {
  return { make: make(), ...Object.fromEntries(PICKERS.map((name) => [name, picker(name).value])) };
}

// A language by the server's name for it in English, else by the browser's; the browser does not know them all.
export function languageName(code) {
  const own = languages.find((each) => each.code === code)?.name;
  const name = named(code);
  return own && (locale === "en" || name === code) ? own : name;
}

// The same where it stands alone: many languages write names of languages small.
export const languageTitle = (code) => languageName(code).replace(/^\p{Ll}/u, (letter) => letter.toLocaleUpperCase(locale));

// The languages that a model translates, or the one that is chosen: all, where a model tells none.
export function languagesOf(model) {
  const own = languages.filter((each) => each.models.includes(model));
  return own.length ? own : languages;
}

export async function fillChoices(how) {
  const choices = await get("web/choices.json", how); // without a key too
  Object.assign(limits, {
    request: choices.request_characters,
    page: choices.page_characters,
    job: choices.job_characters,
    suffixes: choices.suffixes,
  });
  takesSuggestions = choices.suggestions;
  $("#file").accept = choices.suffixes.join(",");
  fillLengths(choices);
  refill(picker("format"), choices.formats.map((name) => new Option(KIND_NAMES[name] ?? t("format.text"), name)));
  const [lists, known] = await Promise.all([get("v1/languages", how), get("v1/models", how)]);
  languages = lists.languages; // of which `languageName` knows
  languages = lists.languages.toSorted((a, b) => languageName(a.code).localeCompare(languageName(b.code), locale));
  models = known.models;
  fillModels();
  fillLanguages();
  apply(linked());
  apply({ ...remembered(), ...linked() });
  await fillGlossaries(how);
  apply(linked());
  for (const name of ["#memory-open", "#address"]) $(name).hidden = !isKnown;
  isFilled = true;
}

// Those of the server, which lists them to whoever it knows, and the one that this browser has.
export async function fillGlossaries(how) {
  const listed = await get("v1/glossaries", how).catch(() => null);
  isKnown = listed !== null;
  const own = keep.hasTerms() ? [new Option(t("glossary.browser"), BROWSER)] : [];
  const others = (listed?.glossaries ?? []).map(({ id, name }) => new Option(name, id));
  const before = picker("glossary").value;
  refill(picker("glossary"), [...own, ...others]);
  select("glossary", before);
  picker("glossary").closest("label").hidden = !own.length && !others.length;
  return listed?.glossaries ?? [];
}

function fillLengths({ lengths, default_length: usual }) {
  const options = Object.entries(lengths).map(([name, words]) => new Option(knows(`length.${name}`) ? t(`length.${name}`) : sentence(words).slice(0, -1), name));
  picker("length").replaceChildren(...options);
  picker("length").value = usual;
}

// Ask again how far the models are.
export async function refreshModels(how) {
  const before = JSON.stringify(models);
  models = (await get("v1/models", how)).models;
  if (JSON.stringify(models) !== before) fillModels();
}

// The models that the server is fetching or loading, and how far each is.
export const coming = () =>
  models.filter(({ state }) => /^(downloading|loading)/.test(state)).map(({ name, state }) => `${name} (${state})`);

// Those of the tasks that are asked for; there is nothing to choose where each has one.
export function fillModels() {
  const tasks = { summary: ["summarize"], translation: ["translate"], both: ["translate", "summarize"] }[make()];
  const groups = tasks.map((task) => {
    const able = models.filter((each) => each.tasks.includes(task));
    const label = t(`model.${task}`);
    return element("optgroup", { label }, ...able.map((each) => modelOption(each, task)));
  });
  const before = picker("model").value;
  refill(picker("model"), groups);
  select("model", before);
  picker("model").closest("label").hidden = groups.every((group) => group.childElementCount < 2);
}

function modelOption({ name, description, default_for: usual, state }, task) {
  const said = [usual.includes(task) ? t("model.usual") : "", HERE.has(state) ? "" : state].filter(Boolean).join(", ");
  return Object.assign(new Option(said ? `${name} (${said})` : name, name), { title: description });
}

export const takes = (task, model) => models.some((each) => each.name === model && each.tasks.includes(task));

export function fillLanguages() {
  const usual = models.find((each) => each.default_for.includes("translate"))?.name;
  const picked = picker("model").value;
  const own = languagesOf(takes("translate", picked) ? picked : usual);
  const able = picked ? own : languages.filter((each) => own.includes(each) || each.targets);
  for (const name of ["source", "target"]) {
    const before = picker(name).value;
    refill(picker(name), able.map((each) => new Option(languageTitle(each.code), each.code)));
    select(name, before);
  }
}

// What the first option of the source stands for, as far as it is known before the run.
export function showDetected(code) {
  picker("source").options[0].textContent = code ? t("from.detected", { language: languageTitle(code) }) : t("from.detect");
  picker("source").dataset.detected = code ?? "";
}

export function swap() {
  const [from, to] = [picker("source"), picker("target")];
  const was = from.value === "auto" ? from.dataset.detected : from.value;
  if (to.value) select("source", to.value);
  if (was) select("target", was);
}

export function remember() {
  keep.choose(targetName(), chosen().target);
  history.replaceState(null, "", `#${new URLSearchParams(Object.entries(chosen()).filter(([, value]) => value))}`);
}

// Choose these, as far as they can be chosen here.
export function apply(wanted) {
  const radio = wanted.make && $(`input[name=make][value="${CSS.escape(wanted.make)}"]`);
  if (radio) {
    radio.checked = true;
    fillModels();
  }
  if (wanted.model !== undefined) {
    select("model", wanted.model);
    fillLanguages();
  }
  for (const name of PICKERS) if (wanted[name] !== undefined) select(name, wanted[name]);
}

export const limitWords = (length, most) => t("count", { length, most });

const linked = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

// A summary is in the article's own language until another is chosen for it.
const targetName = () => (make() === "summary" ? "summary target" : "target");

function remembered() {
  if (make() === "summary") return { target: keep.chosen(targetName()) ?? "" };
  const able = [...picker("target").options].map((option) => option.value);
  const wanted = [keep.chosen(targetName()), navigator.language.split("-")[0], "fr"];
  return { target: wanted.find((code) => code && code !== "en" && able.includes(code)) ?? "" };
}

// The language that was last chosen for what is asked now.
export const recallTarget = () => apply(remembered());

function select(name, value) {
  const select = picker(name);
  if ([...select.options].some((option) => option.value === value)) select.value = value;
}

// The first option stands for no choice.
const refill = (select, options) => select.replaceChildren(select.options[0], ...options);

// The model that reads a document at the least cost, where only its text is wanted.
export const cheapest = () =>
  models.find((each) => each.family === "extractive" && each.tasks.includes("summarize"))?.name ?? null;
