// What is shown: the article as it was read, the summary with its evidence, the translation by segments.

import { Text, pieces } from "./text.js";

const $ = (selector, within = document) => within.querySelector(selector);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const names = new Intl.DisplayNames(["en"], { type: "language" });

function named(code) {
  try {
    return names.of(code);
  } catch {
    return code;
  }
}

// ---------------------------------------------------------------------- the article

export class Article {
  constructor(text) {
    this.text = new Text(text);
    this.box = $("#read");
    this.spans = [];
    this.parts = [];
    this.titleEnd = 0;
  }

  // Show the text, cut where these spans (and those before) begin and end, so that each can be lit up.
  cut(spans) {
    this.spans.push(...spans);
    const title = { start: 0, end: this.titleEnd };
    this.parts = pieces(this.text.length, [...this.spans, title]).map(({ start, end }) => ({
      start,
      end,
      part: element("span", { className: end <= this.titleEnd ? "title" : "", textContent: this.text.slice(start, end) }),
    }));
    this.box.replaceChildren(...this.parts.map(({ part }) => part));
  }

  leftOut(dropped) {
    const list = $("#dropped");
    list.hidden = !dropped.length;
    $("summary", list).textContent =
      dropped.length === 1 ? "1 part of the page was left out" : `${dropped.length} parts of the page were left out`;
    const short = (text) => (text.length > 160 ? `${text.slice(0, 160)}…` : text);
    $("ul", list).replaceChildren(
      ...dropped.map(({ text, reason }) => element("li", {}, element("b", {}, reason), `: ${short(text)}`)),
    );
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

// ---------------------------------------------------------------------- flags

function flagged(text, flags, describe) {
  return pieces(text.length, flags).map(({ start, end, spans }) => {
    const words = text.slice(start, end);
    if (!spans.length) return words;
    const error = spans.some((flag) => flag.severity === "error");
    return element(
      "mark",
      { className: `${error ? "error" : "warning"}${words.length > 60 ? " long" : ""}`, title: spans.map((flag) => flag.reason).join("; ") },
      words,
    );
  });
}

function findings(list, found) {
  list.replaceChildren(
    ...found.map(({ words, flag }) => {
      const quoted = words.length > 60 ? `${words.slice(0, 60)}…` : words;
      return element("li", { className: flag.severity }, element("b", {}, quoted), ` (${flag.kind}): ${flag.reason}`);
    }),
  );
}

// Let pointing at an element, or reaching it by keyboard, light up what belongs to it.
function reachable(node, on, off) {
  node.tabIndex = 0;
  const enter = (event) => { node.classList.add("on"); on(event.type === "focus"); };
  const leave = () => { node.classList.remove("on"); off(); };
  node.addEventListener("mouseenter", enter);
  node.addEventListener("focus", enter);
  node.addEventListener("mouseleave", leave);
  node.addEventListener("blur", leave);
  node.addEventListener("click", () => node.focus());
}

// ---------------------------------------------------------------------- the results

class Result {
  constructor(section) {
    this.section = $(section);
    this.body = $(".body", this.section);
    this.text = "";
  }

  clear() {
    this.section.hidden = true;
    this.text = "";
  }

  start() {
    this.section.hidden = false;
    this.set("");
    this.body.replaceChildren();
    $(".findings", this.section).replaceChildren();
    $(".fine", this.section).textContent = "";
  }

  // The whole text, which can be copied and downloaded from now on; none yet if it is empty.
  set(text) {
    this.text = text;
    for (const button of this.section.querySelectorAll(".heading button")) button.disabled = !text;
  }
}

// ---------------------------------------------------------------------- the summary

export class SummaryView extends Result {
  constructor() {
    super("#summary");
    this.evidence = $(".evidence", this.section);
  }

  start() {
    super.start();
    this.evidence.replaceChildren();
  }

  add(text) {
    this.body.append(text);
  }

  show(answer, article) {
    this.set(answer.summary);
    this.body.lang = answer.language;
    this.body.dir = "auto";
    const whole = new Text(answer.summary);
    const nodes = [];
    const found = [];
    let end = 0;
    for (const sentence of answer.sentences) {
      nodes.push(whole.slice(end, sentence.start));
      nodes.push(this.sentence(sentence, article));
      found.push(...sentence.flags.map((flag) => ({ words: whole.slice(flag.start, flag.end), flag })));
      end = sentence.end;
    }
    this.body.replaceChildren(...nodes, whole.slice(end));
    findings($(".findings", this.section), found);
    const made = answer.translation_model ? `${answer.model}, translated by ${answer.translation_model}` : answer.model;
    $(".fine", this.section).textContent = [
      `Made by ${made} in ${(answer.timings_ms.total / 1000).toFixed(1)} s.`,
      "Point at a sentence, or tap it, to see what supports it.",
      ...answer.notes,
    ].join(" ");
  }

  sentence(sentence, article) {
    const flags = sentence.flags.map((flag) => ({ ...flag, start: flag.start - sentence.start, end: flag.end - sentence.start }));
    const node = element("span", { className: "sentence" }, ...flagged(new Text(sentence.text), flags));
    if (sentence.original) node.title = sentence.original;
    const light = (chosen) => {
      article.light(sentence.evidence);
      if (chosen) this.quote(sentence.evidence, article);
    };
    reachable(node, light, () => article.light([]));
    return node;
  }

  // The evidence in words, for who cannot see it lit: it is read out, and on a phone it is shown here.
  quote(evidence, article) {
    const quotes = evidence.map(({ start, end }) => element("p", { dir: "auto" }, article.text.slice(start, end).trim()));
    this.evidence.replaceChildren(...(quotes.length ? quotes : [element("p", {}, "Nothing in the article supports this sentence.")]));
  }
}

// ---------------------------------------------------------------------- the translation

export class TranslationView extends Result {
  constructor() {
    super("#translation");
    this.rows = new Map();
  }

  start() {
    super.start();
    this.rows.clear();
    $(".languages", this.section).hidden = true;
  }

  // One segment, as soon as it is ready; they may come in any order.
  add(index, segment, article) {
    const row = this.row(segment, article);
    const after = [...this.rows.keys()].filter((other) => other < index);
    const previous = after.length ? this.rows.get(Math.max(...after)) : null;
    this.rows.get(index)?.remove();
    if (previous) previous.after(row);
    else this.body.prepend(row);
    this.rows.set(index, row);
  }

  show(answer, article) {
    this.set(answer.translation);
    this.body.replaceChildren();
    this.rows.clear();
    const found = [];
    answer.segments.forEach((segment, index) => {
      const row = this.row(segment, article);
      row.lastElementChild.lang = answer.target;
      this.body.append(row);
      this.rows.set(index, row);
      const text = new Text(segment.text);
      found.push(...segment.flags.map((flag) => ({ words: text.slice(flag.start, flag.end), flag })));
    });
    if (!answer.segments.length) this.body.append(element("p", { className: "text" }, answer.translation));
    findings($(".findings", this.section), found);
    const heads = $(".languages", this.section);
    heads.hidden = false;
    [answer.source.language, answer.target].forEach((code, i) => { heads.children[i].textContent = named(code); });
    const via = answer.via ? ` by way of ${named(answer.via)}` : "";
    $(".fine", this.section).textContent = [
      `From ${named(answer.source.language)} to ${named(answer.target)}${via}, by ${answer.model}, in ${(answer.timings_ms.total / 1000).toFixed(1)} s.`,
      ...answer.notes,
    ].join(" ");
  }

  row(segment, article) {
    const source = element("div", { dir: "auto" }, article.text.slice(segment.source.start, segment.source.end));
    const target = element("div", { dir: "auto" }, ...flagged(new Text(segment.text), segment.flags || []));
    const row = element("div", { className: segment.abstained ? "segment abstained" : "segment" }, source, target);
    reachable(row, () => article.light([segment.source]), () => article.light([]));
    return row;
  }
}
