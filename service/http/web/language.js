// The interface's language: the browser's, until the reader chooses another. Its words are in words.CODE.json.

import * as keep from "./keep.js";

export const LANGUAGES = {
  de: "Deutsch", en: "English", es: "Español", fr: "Français", it: "Italiano", pt: "Português", ru: "Русский", zh: "中文",
};
const CHOSEN = "dragoman.language";
const ATTRIBUTES = ["title", "aria-label", "placeholder", "data-old"];

export let locale = "en";
let words = {};
let plurals = new Intl.PluralRules(locale);

// A text by its key, with these values in its {places}; of several forms, the one that goes with {count}.
export function t(key, values = {}) {
  const found = words[key];
  const text = typeof found === "object" ? found[plurals.select(values.count)] ?? found.other : found;
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? number(values[name]) : values[name]));
}

export const knows = (key) => key in words;

export const number = (value, options = {}) => value.toLocaleString(locale, options);

export async function speak(code) {
  const response = await fetch(`web/words.${code}.json`);
  if (!response.ok && code !== "en") return speak("en");
  words = await response.json();
  locale = code;
  plurals = new Intl.PluralRules(code);
  document.documentElement.lang = code;
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const name of ATTRIBUTES) {
    for (const node of document.querySelectorAll(`[data-t-${name}]`)) node.setAttribute(name, t(node.getAttribute(`data-t-${name}`)));
  }
}

export function choose(code) {
  keep.choose(CHOSEN, code);
  return speak(code);
}

function usual() {
  const wanted = [keep.chosen(CHOSEN), ...navigator.languages.map((each) => each.split("-")[0])];
  return wanted.find((code) => code in LANGUAGES) ?? "en";
}

await speak(usual());
