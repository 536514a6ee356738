// Writing a translated sentence anew, or choosing another of the model's, and sending it to the server as a suggestion.

import { explain } from "./failures.js";
import { post } from "./service.js";
import { element } from "./words.js";

const OTHERS = 3;

// `done` hears the new words, or null where nothing changed; `suggest` sends them and is waited for; `others` gives the
// model's other translations.
export function edit(row, words, done, suggest, others) {
  const target = row.lastElementChild;
  const shown = [...target.childNodes];
  const box = element("textarea", { value: words, dir: "auto", rows: Math.max(2, Math.ceil(words.length / 50)) });
  box.setAttribute("aria-label", "The sentence in your words");
  const button = (name, act, title = "") => {
    const made = element("button", { type: "button", className: "quiet", textContent: name, title });
    made.addEventListener("click", act);
    return made;
  };
  const closed = new AbortController();
  const close = (now) => {
    closed.abort();
    target.replaceChildren(...shown);
    row.classList.remove("editing");
    done(now);
  };
  const save = () => close(box.value.trim() && box.value.trim() !== words ? box.value.trim() : null);
  const send = async () => {
    if (await suggest(box.value.trim())) save();
  };
  const buttons = element(
    "div", { className: "buttons" },
    button("Save", save, "Ctrl + Enter does the same"),
    button("Save and suggest", send, "Also sends it to the server's operator"),
    button("Cancel", () => close(null)),
  );
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
    if (event.key === "Escape") close(null);
  });
  const list = element("div", { className: "others" }, element("p", {}, "Looking for alternatives …"));
  list.setAttribute("aria-live", "polite");
  row.classList.add("editing");
  target.replaceChildren(box, buttons, list);
  box.focus();
  const choice = (text) => button(text, () => { box.value = text; box.focus(); });
  others(closed.signal).then(
    (texts) => list.replaceChildren(
      element("p", {}, texts.length ? "Alternatives:" : "No alternatives."),
      element("ul", {}, ...texts.map((text) => element("li", {}, choice(text)))),
    ),
    (error) => { if (error.name !== "AbortError") list.replaceChildren(element("p", {}, explain(error))); },
  );
}

// What else the model would make of this one sentence; only who looks for it pays for it.
export async function others({ text, shown, ...fields }, how) {
  const { segments, translation } = await post("v1/translate", { text, ...fields, alternatives: OTHERS }, how);
  const all = segments.length === 1 ? [translation, ...(segments[0].alternatives ?? [])] : [translation];
  return [...new Set(all)].filter((each) => each !== shown);
}

export const send = ({ text, translation, source, target }, how) =>
  post("suggest", { q: text, s: translation, source, target }, how);
