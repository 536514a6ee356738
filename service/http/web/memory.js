// The caller's translation memory as a table: seen, mended, forgotten.

import { languageTitle } from "./choices.js";
import { explained } from "./failures.js";
import { t } from "./language.js";
import { get, post, request } from "./service.js";
import { $, button, element } from "./words.js";

const MOST_ROWS = 100;

const card = $("#memory");
const pairs = $("select", card);
const search = $("input", card);
const forgetAll = $("#memory-forget");
let how = {};
let rows = []; // [sentence, translation] of the chosen pair

export const keep = ({ text, translation, source, target }, asking) =>
  post("v1/memory", { source, target, entries: { [text]: translation } }, asking);

export function startMemory() {
  $(".close", card).addEventListener("click", () => card.close());
  pairs.addEventListener("change", () => tried(load));
  search.addEventListener("input", fill);
  forgetAll.addEventListener("click", () => {
    if (forgetAll.dataset.sure) return tried(() => forget());
    forgetAll.dataset.sure = "1";
    forgetAll.textContent = t("memory.sure");
    return null;
  });
}

// `asking` is {key}.
export async function open(asking) {
  how = asking;
  card.showModal();
  await tried(look);
}

async function tried(act) {
  const problem = $(".problem", card);
  problem.textContent = "";
  await act().catch((error) => { problem.replaceChildren(...explained(error)); });
}

async function look() {
  const known = (await get("v1/memory", how)).pairs;
  const before = pairs.value;
  pairs.replaceChildren(...known.map(({ source, target, size: count }) => {
    const words = { source: languageTitle(source), target: languageTitle(target), count };
    return new Option(t("memory.pair.size", words), `source=${source}&target=${target}`);
  }));
  if (known.some(({ source, target }) => `source=${source}&target=${target}` === before)) pairs.value = before;
  await load();
}

async function load() {
  rows = [];
  if (pairs.value) {
    const file = await (await request(`v1/memory.tmx?${pairs.value}`, {}, how)).text();
    const units = new DOMParser().parseFromString(file, "text/xml").querySelectorAll("tu");
    rows = [...units].map((unit) => [...unit.querySelectorAll("seg")].map((words) => words.textContent));
  }
  fill();
}

function fill() {
  const [source, target] = ["source", "target"].map((name) => new URLSearchParams(pairs.value).get(name) ?? "");
  const wanted = search.value.trim().toLocaleLowerCase();
  const found = rows.filter((row) => row.some((words) => words.toLocaleLowerCase().includes(wanted)));
  $("tbody", card).replaceChildren(...found.slice(0, MOST_ROWS).map((row) => rowOf(row, source, target)));
  $(".fine", card).textContent = t(rows.length ? "memory.about" : "memory.none");
  const left = found.length - MOST_ROWS;
  $(".more-rows", card).textContent = left > 0 ? t("memory.more", { count: left }) : "";
  for (const part of [$(".choose", card), $(".scroll", card), forgetAll]) part.hidden = !rows.length;
  delete forgetAll.dataset.sure;
  forgetAll.textContent = t("memory.forget-all");
}

function rowOf([text, translation], source, target) {
  const box = element("textarea", { value: translation, dir: "auto", lang: target, rows: 2 });
  box.setAttribute("aria-label", t("memory.target"));
  const saver = button(t("memory.save"), () => tried(async () => {
    await keep({ text, translation: box.value.trim(), source, target }, how);
    await look();
  }), { className: "second" });
  saver.disabled = true;
  box.addEventListener("input", () => { saver.disabled = !box.value.trim() || box.value.trim() === translation; });
  return element(
    "tr", {},
    element("td", { dir: "auto", lang: source }, text),
    element("td", {}, box),
    element("td", {}, saver, button(t("memory.forget"), () => tried(() => forget(text)))),
  );
}

// One sentence, or all of the pair.
async function forget(text = null) {
  const which = text === null ? "" : `&text=${encodeURIComponent(text)}`;
  await request(`v1/memory?${pairs.value}${which}`, { method: "DELETE" }, how);
  await look();
}
