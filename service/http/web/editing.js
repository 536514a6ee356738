// Writing a translated sentence anew, or choosing another of the model's.

import { explained } from "./failures.js";
import { t } from "./language.js";
import { post } from "./service.js";
import { button, element } from "./words.js";

const OTHERS = 3;

// `offers` are what can be ticked, {name: whether it is}; `done` hears the words and what is ticked, or nothing where
// the sentence stays as it was; `others` gives the model's other translations.
export function edit(row, words, { offers, done, others }) {
  const target = row.lastElementChild;
  const shown = [...target.childNodes];
  const box = element("textarea", { value: words, dir: "auto", rows: Math.max(2, Math.ceil(words.length / 50)) });
  box.setAttribute("aria-label", t("rewrite.label"));
  const closed = new AbortController();
  const close = (...now) => {
    closed.abort();
    target.replaceChildren(...shown);
    row.classList.remove("editing");
    done(...now);
  };
  const ticks = Object.entries(offers).map(([name, checked]) => element("input", { type: "checkbox", name, checked }));
  const save = () => {
    const ticked = Object.fromEntries(ticks.map(({ name, checked }) => [name, checked]));
    if (box.value.trim()) close(box.value.trim(), ticked);
    else close();
  };
  const buttons = element(
    "div", { className: "buttons" },
    ...ticks.map((tick) => element("label", { className: "tick" }, tick, t(`rewrite.${tick.name}`))),
    button(t("rewrite.save"), save, { title: t("rewrite.keys"), className: "second" }),
    button(t("rewrite.cancel"), () => close()),
  );
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
    if (event.key === "Escape") close();
  });
  const list = element("div", { className: "others" }, element("p", {}, t("rewrite.looking")));
  list.setAttribute("aria-live", "polite");
  row.classList.add("editing");
  target.replaceChildren(box, buttons, list);
  box.focus();
  const choice = (text) => button(text, () => { box.value = text; box.focus(); });
  others(closed.signal).then(
    (texts) => list.replaceChildren(
      element("p", {}, t(texts.length ? "rewrite.others" : "rewrite.no-others")),
      element("ul", {}, ...texts.map((text) => element("li", {}, choice(text)))),
    ),
    (error) => { if (error.name !== "AbortError") list.replaceChildren(element("p", {}, ...explained(error))); },
  );
}

// What else the model would make of this one sentence; only who looks for it pays for it.
export async function others({ text, shown, ...fields }, how) {
  const { segments, translation } = await post("v1/translate", { text, ...fields, alternatives: OTHERS }, how);
  const all = segments.length === 1 ? [translation, ...(segments[0].alternatives ?? [])] : [translation];
  return [...new Set(all)].filter((each) => each !== shown);
}

export const suggest = ({ text, translation, source, target }, how) =>
  post("suggest", { q: text, s: translation, source, target }, how);
