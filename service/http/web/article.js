// The article as it was read, beside the box that it was pasted into; what belongs to a sentence lights up in it.

import { Text, pieces } from "./text.js";
import { $, count, element, short } from "./words.js";

export class ArticleView {
  constructor() {
    this.box = $("#read");
    this.parts = [];
    this.spans = [];
  }

  // Show a draft's article, and the box no more.
  show({ article }) {
    const wasTyping = document.activeElement === $("#article");
    this.text = new Text(article.text);
    this.title = { start: 0, end: new Text(article.title).length };
    this.spans = [];
    this.cut([]);
    this.leftOut(article.dropped);
    for (const [name, hidden] of [["#article", true], ["#read", false], ["#edit", false]]) $(name).hidden = hidden;
    if (wasTyping) this.box.focus({ preventScroll: true });
  }

  hide() {
    for (const [name, hidden] of [["#article", false], ["#read", true], ["#edit", true], ["#dropped", true]]) $(name).hidden = hidden;
  }

  // Cut the text where these spans (and those before) begin and end, so that each can be lit up.
  cut(spans) {
    this.spans.push(...spans);
    this.parts = pieces(this.text.length, [...this.spans, this.title]).map(({ start, end }) => ({
      start,
      end,
      part: element("span", { className: end <= this.title.end ? "title" : "", textContent: this.text.slice(start, end) }),
    }));
    this.box.replaceChildren(...this.parts.map(({ part }) => part));
  }

  leftOut(dropped) {
    const list = $("#dropped");
    list.hidden = !dropped.length;
    $("summary", list).textContent = `${count(dropped.length, "part")} of the page ${dropped.length === 1 ? "was" : "were"} left out`;
    $("ul", list).replaceChildren(
      ...dropped.map(({ text, reason }) => element("li", {}, element("b", {}, reason), `: ${short(text, 160)}`)),
    );
  }

  quote({ start, end }) {
    return this.text.slice(start, end).trim();
  }

  light(spans) {
    let first = null;
    for (const { start, end, part } of this.parts) {
      const lit = spans.some((span) => span.start < end && span.end > start);
      part.classList.toggle("lit", lit);
      if (lit) first ??= part;
    }
    if (first && this.box.scrollHeight > this.box.clientHeight) {
      const shift = first.getBoundingClientRect().top - this.box.getBoundingClientRect().top;
      if (shift < 0 || shift > this.box.clientHeight - 40) this.box.scrollTop += shift - 40;
    }
  }
}
