// Flags: marks and shades in a sentence, the reason beside the mark that is pointed at, and how many there are.

import { knows, t } from "./language.js";
import { pieces } from "./text.js";
import { $, element, english, sentence, short } from "./words.js";

// A text's nodes, with a mark for each flagged stretch; one flagged as a whole is shaded rather than underlined.
// The words that the model was least sure of are marked within a doubtful one.
export function marked(text, flags) {
  const spans = flags.flatMap((flag) => [flag, ...(flag.weakest ?? []).map((span) => ({ ...flag, ...span, isWeak: true }))]);
  return pieces(text.length, spans).map(({ start, end, spans }) => {
    const words = text.slice(start, end);
    if (!spans.length) return words;
    const severity = spans.some((flag) => flag.severity === "error") ? "error" : "warning";
    const isWhole = spans.every((flag) => flag.start === 0 && flag.end >= text.length);
    const reason = [...new Set(spans.map((flag) => sentence(flag.reason)))].join(" ");
    const kinds = [severity, isWhole && "whole", spans.some((flag) => flag.isWeak) && "weak"];
    const mark = element("mark", { className: kinds.filter(Boolean).join(" "), tabIndex: 0 }, words);
    mark.dataset.reason = reason;
    mark.setAttribute("aria-description", reason);
    return mark;
  });
}

const kindName = (kind) => (knows(`kind.${kind}`) ? t(`kind.${kind}`) : kind);

export function list(box, found) {
  box.replaceChildren(
    ...found.map(({ words, flag }) =>
      element("li", { className: flag.severity }, element("b", {}, short(words, 60)), ` (${kindName(flag.kind)}): `, english(flag.reason)),
    ),
  );
}

// "3 possible problems in 14 sentences: 2 × number, 1 × doubtful", with a button to go from one to the next.
export function tally(box, found, sentences, unchecked = 0) {
  const kinds = new Map();
  for (const { flag } of found) kinds.set(flag.kind, (kinds.get(flag.kind) ?? 0) + 1);
  const each = [...kinds].map(([kind, times]) => `${times} × ${kindName(kind)}`).join(", ");
  box.hidden = !sentences;
  const next = $(".next", box);
  if (next) next.hidden = !found.length;
  const words = found.length
    ? t("tally.found", {
      problems: t("tally.problems", { count: found.length }),
      within: t("tally.within", { count: sentences }),
      kinds: each,
    })
    : t("tally.nothing", { count: sentences });
  $("span", box).textContent = unchecked ? `${words} ${t("tally.unchecked", { count: unchecked })}` : words;
}

// How many sentences are likely right, as the service's notes say it; nothing where no confidence is known.
export function trust(box, confidences) {
  const known = confidences.filter((each) => each !== null && each !== undefined);
  const total = known.reduce((sum, each) => sum + each, 0);
  const isLow = 2 * total < known.length;
  box.hidden = !known.length;
  box.classList.toggle("low", isLow);
  if (known.length) box.textContent = trustWords(known.length, total, isLow ? ".low" : "");
}

function trustWords(sentences, total, low) {
  if (sentences > 1) return t(`trust${low}`, { right: Math.round(total), count: sentences });
  const ofTen = Math.round(10 * total);
  return ofTen ? t(`trust.one${low}`, { count: ofTen }) : t("trust.none");
}

export const isTrust = (note) => /^(about \d+ of \d+ (such )?sentences|hardly any such sentence) /i.test(note);

export function toNext(section) {
  const marks = [...section.querySelectorAll("mark")];
  const at = marks.indexOf(document.activeElement);
  marks[(at + 1) % marks.length]?.focus();
}

// The reason of the mark that is pointed at, tapped, or reached by keyboard.
export function showReasons(box) {
  const show = ({ target }) => {
    const mark = target.closest?.("mark[data-reason]") ?? document.activeElement?.closest("mark[data-reason]");
    box.hidden = !mark;
    if (!mark) return;
    box.textContent = mark.dataset.reason;
    const { left, bottom } = mark.getBoundingClientRect();
    const most = document.documentElement.clientWidth - box.offsetWidth - 8;
    box.style.left = `${scrollX + Math.max(8, Math.min(left, most))}px`;
    box.style.top = `${scrollY + bottom + 6}px`;
  };
  for (const name of ["mouseover", "focusin", "click"]) document.addEventListener(name, show);
  document.addEventListener("focusout", () => { box.hidden = true; });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") box.hidden = true; });
}

// Let pointing at an element, or reaching it by keyboard, light up what belongs to it.
export function reachable(node, on, off) {
  node.tabIndex = 0;
  const enter = (event) => { node.classList.add("on"); on(event.type === "focusin"); };
  const leave = () => { node.classList.remove("on"); off(); };
  node.addEventListener("mouseenter", enter);
  node.addEventListener("focusin", enter);
  node.addEventListener("mouseleave", leave);
  node.addEventListener("focusout", leave);
  node.addEventListener("click", (event) => { if (!event.target.closest("mark, button, textarea")) node.focus(); });
}
