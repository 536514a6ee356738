// Writing a translated sentence anew, and sending it to the server as a suggestion.

import { post } from "./service.js";
import { element } from "./words.js";

// `done` hears the new words, or null where nothing changed; `suggest` sends them and is waited for.
export function edit(row, words, done, suggest) {
  const target = row.lastElementChild;
  const shown = [...target.childNodes];
  const box = element("textarea", { value: words, dir: "auto", rows: Math.max(2, Math.ceil(words.length / 50)) });
  box.setAttribute("aria-label", "The sentence in your words");
  const button = (name, act, title = "") => {
    const made = element("button", { type: "button", className: "quiet", textContent: name, title });
    made.addEventListener("click", act);
    return made;
  };
  const close = (now) => {
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
    button("Save and suggest", send, "Also tells whoever looks after the server of this better translation"),
    button("Cancel", () => close(null)),
  );
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
    if (event.key === "Escape") close(null);
  });
  row.classList.add("editing");
  target.replaceChildren(box, buttons);
  box.focus();
}

export const send = ({ text, translation, source, target }, how) =>
  post("suggest", { q: text, s: translation, source, target }, how);
