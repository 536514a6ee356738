// The summary, its sentences with their evidence and flags.

import { languageName } from "./choices.js";
import { isTrust, list, marked, reachable, tally, trust } from "./flags.js";
import { number, t } from "./language.js";
import { Result } from "./result.js";
import { Text } from "./text.js";
import { $, element, noted } from "./words.js";

export class SummaryView extends Result {
  constructor(article) {
    super("#summary");
    this.article = article;
    this.evidence = $(".evidence", this.section);
  }

  start() {
    super.start();
    this.evidence.replaceChildren();
  }

  add(text) {
    this.body.append(text);
    this.set(this.body.textContent.trim());
  }

  show({ summary: answer }) {
    this.start();
    this.set(answer.summary);
    this.body.lang = answer.language;
    const whole = new Text(answer.summary);
    const nodes = [];
    const found = [];
    let end = 0;
    for (const sentence of answer.sentences) {
      nodes.push(whole.slice(end, sentence.start), this.sentence(sentence));
      found.push(...sentence.flags.map((flag) => ({ words: whole.slice(flag.start, flag.end), flag })));
      end = sentence.end;
    }
    this.body.replaceChildren(...nodes, whole.slice(end));
    list($(".findings", this.section), found);
    tally($(".tally", this.section), found, answer.sentences.length);
    trust($(".trust", this.section), answer.sentences.map(({ confidence }) => confidence));
    const { model, translation_model: translator, timings_ms: { total }, untranslated } = answer;
    const seconds = number(total / 1000, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
    // a score of 1 says that the sentence is the article's own
    const picked = !answer.translation_model && answer.sentences.every(({ evidence }) => evidence[0]?.score === 1);
    this.fine([
      t(translator ? "summary.by-two" : "summary.by", { model, translator, seconds }),
      picked ? t("summary.picked") : "",
      t("summary.hover"),
      untranslated && t("summary.untranslated", { language: languageName(untranslated) }),
      ...noted(answer.notes.filter((note) => !isTrust(note))),
    ]);
  }

  sentence({ start, end, text, original, evidence, flags, from_memory: isRemembered }) {
    const moved = (span) => ({ ...span, start: span.start - start, end: Math.min(span.end, end) - start });
    const own = flags.map((flag) => ({ ...moved(flag), weakest: flag.weakest?.map(moved) }));
    const node = element("span", { className: "sentence" }, ...marked(new Text(text), own));
    if (original) node.title = original;
    if (isRemembered) node.dataset.tag = t("rewrite.remembered");
    const light = (chosen) => {
      this.article.light(evidence);
      if (chosen) this.quote(evidence);
    };
    reachable(node, light, () => this.article.light([]));
    return node;
  }

  // The evidence in words, for who cannot see it lit: it is read out, and on a phone it is shown here.
  quote(evidence) {
    const quotes = evidence.map((span) => element("p", { dir: "auto" }, this.article.quote(span)));
    this.evidence.replaceChildren(...(quotes.length ? quotes : [element("p", {}, t("summary.unsupported"))]));
  }
}
