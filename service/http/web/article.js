// The article as it was read, beside the box that it was pasted into; what belongs to a sentence lights up in it.

import { t } from "./language.js";
import { Text, pieces } from "./text.js";
import { $, element, short } from "./words.js";

export class ArticleView {
  constructor() {
    this.box = $("#read");
    this.parts = [];
  }

  // Show a draft's article, and the box no more.
  show({ article }) {
    const wasTyping = document.activeElement === $("#article");
    this.text = new Text(article.text);
    const title = { start: 0, end: new Text(article.title).length };
    this.parts = pieces(this.text.length, [title]).map(({ start, end }) => ({
      start,
      end,
      part: element("span", { className: end <= title.end ? "title" : "", textContent: this.text.slice(start, end) }),
    }));
    this.box.replaceChildren(...this.parts.map(({ part }) => part));
    this.leftOut(article.dropped);
    for (const [name, hidden] of [["#article", true], ["#read", false], ["#edit", false]]) $(name).hidden = hidden;
    if (wasTyping) this.box.focus({ preventScroll: true });
  }

  hide() {
    for (const [name, hidden] of [["#article", false], ["#read", true], ["#edit", true], ["#dropped", true]]) $(name).hidden = hidden;
  }

  // Cut the text where these spans begin and end, so that nothing else lights up with them.
  cut(spans) {
    for (const at of spans.flatMap(({ start, end }) => [start, end])) {
      const i = this.parts.findIndex(({ start, end }) => start < at && at < end);
      if (i < 0) continue;
      const { start, end, part } = this.parts[i];
      const first = part.cloneNode();
      first.textContent = this.text.slice(start, at);
      part.textContent = this.text.slice(at, end);
      part.before(first);
      this.parts.splice(i, 1, { start, end: at, part: first }, { start: at, end, part });
    }
  }

  leftOut(dropped) {
    const list = $("#dropped");
    list.hidden = !dropped.length;
    $("summary", list).textContent = t("article.left-out", { count: dropped.length });
    $("ul", list).replaceChildren(
      ...dropped.map(({ text, reason }) => element("li", {}, element("b", { lang: "en" }, reason), `: ${short(text, 160)}`)),
    );
  }

  quote({ start, end }) {
    return this.text.slice(start, end).trim();
  }

  light(spans) {
    this.cut(spans);
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
