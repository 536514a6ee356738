// Small words: elements, names of languages, lists, a server's words as sentences.

import { locale, t } from "./language.js";

export const $ = (selector, within = document) => within.querySelector(selector);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function button(name, act, { title = "", className = "quiet" } = {}) {
  const made = element("button", { type: "button", className, textContent: name, title });
  made.addEventListener("click", act);
  return made;
}

export function named(code) {
  try {
    return new Intl.DisplayNames([locale], { type: "language" }).of(code);
  } catch {
    return code;
  }
}

export const listed = (items) => new Intl.ListFormat(locale).format(items);

export const short = (text, most) => (text.length > most ? `${text.slice(0, most).trimEnd()} …` : text);

// The words with a capital and a full stop; a name such as fake/model-2 stays as it is written.
export function sentence(words) {
  const [first] = words.split(/\s/, 1);
  const begun = /^\p{Ll}[\p{L}']*$/u.test(first) ? words[0].toUpperCase() + words.slice(1) : words;
  return (/[.!?…。！？]$/.test(begun) ? begun : `${begun}.`).replace(/^Url\b/, "URL");
}

// Words of the server, which speaks English in every language of the page.
export const english = (words) => element("span", { lang: "en" }, words);

// The service's notes as sentences for a reader, who runs no command to get a better model.
export const noted = (notes) =>
  notes.flatMap((note) => {
    const [, said, model, how] = /^(.*?)(?:; (\S+), named as `model`, is better(:.*)?)?$/s.exec(note);
    return [english(sentence(said)), model && sentence(how ? t("note.ask") : t("note.better", { model }))];
  });

export function save(name, blob) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
