// What both results have in common: a section with a body, buttons that take its text, and words beneath.

import { $ } from "./words.js";

export class Result {
  constructor(section) {
    this.section = $(section);
    this.body = $(".body", this.section);
    this.text = "";
  }

  clear() {
    this.section.hidden = true;
    this.start();
    this.section.hidden = true;
  }

  start() {
    this.section.hidden = false;
    this.set("");
    this.body.replaceChildren();
    $(".tally", this.section).hidden = true;
    for (const box of this.section.querySelectorAll(".trust")) box.hidden = true;
    $(".findings", this.section).replaceChildren();
    $(".fine", this.section).textContent = "";
  }

  // The text, which can be copied and downloaded from now on; none yet if it is empty.
  set(text) {
    this.text = text;
    for (const button of this.section.querySelectorAll("[data-copy], [data-download]")) button.disabled = !text;
  }

  fine(words) {
    $(".fine", this.section).replaceChildren(...words.filter(Boolean).flatMap((each) => [each, " "]).slice(0, -1));
  }
}
