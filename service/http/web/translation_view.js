// The translation: source and target side by side, a row for each sentence, in the order of the text.

import { languageName, languageTitle } from "./choices.js";
import { isUnfinished, translated } from "./draft.js";
import { isTrust, list, marked, reachable, tally, trust } from "./flags.js";
import { blocks } from "./kinds.js";
import { number, t } from "./language.js";
import { gaps } from "./parts.js";
import { Result } from "./result.js";
import { Text } from "./text.js";
import { $, button, element, noted } from "./words.js";

export class TranslationView extends Result {
  // `onEdit` hears of the row and the segment that the reader wants to write anew, where that can be done.
  constructor(section, article, onEdit = null) {
    super(section);
    this.article = article;
    this.onEdit = onEdit;
    this.rows = new Map(); // by where their source begins
  }

  start() {
    super.start();
    this.rows.clear();
    $(".languages", this.section).hidden = true;
  }

  show(draft) {
    const focused = Number(document.activeElement?.closest?.(".segment")?.dataset.start ?? NaN);
    this.start();
    this.source = new Text(draft.toTranslate);
    for (const part of draft.parts) this.part(part, draft);
    this.close(draft);
    this.rows.get(focused)?.focus({ preventScroll: true });
  }

  // The sentences of one part.
  part(part, draft) {
    const kinds = blocks(this.source, draft.format, part.segments);
    part.segments.forEach((segment, i) => {
      const row = this.row(segment, draft);
      if (kinds[i].block) row.classList.add(kinds[i].block);
      if (kinds[i].code) this.body.append(element("pre", { className: "code" }, kinds[i].code));
      this.rows.set(segment.source.start, row);
      this.body.append(row);
    });
    if (!part.segments.length && part.text) this.body.append(element("p", { className: "text" }, part.text));
  }

  // Segments, as soon as they are ready; they may come in any order.
  add(segments, draft) {
    for (const segment of segments) {
      const { start } = segment.source;
      const old = this.rows.get(start);
      if (old?.classList.contains("editing")) continue;
      const row = this.row(segment, draft);
      if (old) old.replaceWith(row);
      else this.body.insertBefore(row, this.following(start));
      this.rows.set(start, row);
    }
    this.set(translated(draft));
    this.missing(draft);
  }

  following(start) {
    return [...this.body.children].find(({ dataset }) => dataset.start > start) ?? null;
  }

  // A line in each place where sentences are missing, or still to come.
  missing(draft) {
    for (const old of this.body.querySelectorAll(".gap")) old.remove();
    for (const part of draft.parts) {
      for (const { start, end } of gaps(part, this.source)) {
        const count = end - start;
        const coming = end < part.end ? "…" : t("translation.coming", { count });
        const words = part.state === "running" ? coming : t("translation.missing", { count });
        this.body.insertBefore(element("p", { className: "gap" }, words), this.following(start));
      }
    }
  }

  // What is said of the whole: languages, flags, notes.
  close(draft) {
    this.set(translated(draft));
    this.missing(draft);
    const segments = draft.parts.flatMap((part) => part.segments);
    const found = segments.flatMap((segment) => {
      const { words, flags } = shownOf(segment, draft);
      return (flags ?? []).map((flag) => ({ words: words.slice(flag.start, flag.end), flag }));
    });
    const unchecked = segments.filter((segment) => shownOf(segment, draft).flags === null).length;
    const counted = segments.filter(({ source, abstained }) => !abstained && !draft.edits[source.start]);
    trust($(".trust", this.section), counted.map(({ confidence }) => confidence));
    list($(".findings", this.section), found);
    tally($(".tally", this.section), found, isUnfinished(draft) ? 0 : segments.length, unchecked);
    if (!draft.about) return;
    const { source, target, via, model, ms, notes } = draft.about;
    const heads = $(".languages", this.section);
    heads.hidden = false;
    [source, target].forEach((code, i) => { heads.children[i].textContent = languageTitle(code); });
    const key = `translation.${via ? "via" : "from-to"}${isUnfinished(draft) ? "" : "-in"}`;
    const seconds = number(ms / 1000, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
    this.fine([
      t(key, { source: languageTitle(source), target: languageName(target), via: languageName(via ?? source), model, seconds }),
      ...noted(notes.filter((note) => !isTrust(note))),
    ]);
  }

  redraw(segment, draft) {
    const { start } = segment.source;
    const [old, row] = [this.rows.get(start), this.row(segment, draft)];
    const isFocused = old.contains(document.activeElement);
    old.replaceWith(row);
    this.rows.set(start, row);
    this.close(draft);
    if (isFocused) row.focus({ preventScroll: true });
  }

  row(segment, draft) {
    const { source, original, abstained } = segment;
    const { words, flags, edited } = shownOf(segment, draft);
    const from = element("div", { dir: "auto", lang: draft.language ?? "" }, original ?? this.source.slice(source.start, source.end));
    const to = element("div", { dir: "auto", lang: draft.asked.target }, ...marked(words, flags ?? []));
    const row = element("div", { className: "segment" }, from, ...(this.onEdit ? [this.pencil(() => this.onEdit(row, segment))] : []), to);
    row.dataset.start = source.start;
    row.classList.toggle("abstained", Boolean(abstained));
    const isRemembered = segment.from_memory && !edited;
    if (edited || isRemembered) to.dataset.tag = t(edited ? "rewrite.yours" : "rewrite.remembered");
    reachable(row, () => this.article.light(this.places(segment)), () => this.article.light([]));
    return row;
  }

  pencil(act) {
    const made = button("✎", act, { title: t("rewrite"), className: "quiet edit" });
    made.setAttribute("aria-label", t("rewrite"));
    return made;
  }

  // Where a segment stands in the article as it is shown, which may be another text than the one translated.
  places({ source, original }) {
    if (!this.article.text) return [];
    if (this.article.text.whole === this.source.whole) return [source];
    const start = this.article.text.find(original ?? this.source.slice(source.start, source.end), 0);
    return start < 0 ? [] : [{ start, end: start + new Text(original ?? "").length }];
  }
}

// A sentence's words and flags as they are shown: the model's, or the reader's own, which have null before they are checked.
function shownOf({ source: { start }, text, flags }, { edits, editFlags }) {
  const edited = edits[start] !== undefined;
  return edited ? { words: new Text(edits[start]), flags: editFlags?.[start] ?? null, edited } : { words: new Text(text), flags, edited };
}
