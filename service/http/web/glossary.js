// The glossary editor: terms that this browser keeps, and for whoever has a key those that the server keeps.

import * as choices from "./choices.js";
import { explained } from "./failures.js";
import * as keep from "./keep.js";
import { t } from "./language.js";
import { get, post, Problem, request, send } from "./service.js";
import { $, button, element } from "./words.js";

const card = $("#terms");
const [which, name, source, target] = ["which", "name", "source", "target"].map((each) => $(`#terms-${each}`));
const rows = $("tbody", card);
let how = {};
let stored = []; // the chosen glossary's dictionaries, of the server
let filled = []; // the rows as they were filled: what was typed since is not thrown away

// `saved` hears that the list of glossaries is another, and which one of them was edited.
export function startGlossaries(saved) {
  const close = async (edited) => {
    await choices.fillGlossaries(how);
    card.close();
    saved(edited);
  };
  $(".close", card).addEventListener("click", () => card.close());
  which.addEventListener("change", () => tried(load));
  for (const language of [source, target]) language.addEventListener("change", showPair);
  $("#terms-add").addEventListener("click", () => add().focus());
  $("form", card).addEventListener("submit", (event) => {
    event.preventDefault();
    tried(async () => close(await put()));
  });
  $("#terms-delete").addEventListener("click", () => tried(async () => {
    if (!isSure()) return;
    if (isHere()) keep.keepTerms(target.value, {});
    else await drop(which.value);
    await close("");
  }));
}

const isHere = () => which.value === choices.BROWSER;

// `asking` is {key}.
export async function open(asking) {
  how = asking;
  for (const [own, page] of [[source, $("#from")], [target, $("#target")]]) {
    own.replaceChildren(...[...page.options].slice(1).map((option) => new Option(option.textContent, option.value)));
    if (page.value && page.value !== "auto") own.value = page.value;
  }
  empty();
  card.showModal();
  await tried(async () => {
    const glossaries = await choices.fillGlossaries(how);
    which.replaceChildren(
      new Option(t("glossary.browser"), choices.BROWSER),
      ...glossaries.map((each) => new Option(each.name, each.id)),
      ...(choices.isKnown ? [new Option(t("glossary.new"), "")] : []),
    );
    const chosen = $("#glossary").value;
    which.value = chosen || choices.BROWSER;
    await load();
  });
}

async function tried(act) {
  const problem = $(".problem", card);
  problem.textContent = "";
  await act().catch((error) => { problem.replaceChildren(...explained(error)); });
}

// Show what the chosen glossary has; of several pairs of languages the first.
async function load() {
  stored = [];
  empty();
  $(".fine", card).textContent = t(isHere() ? "glossary.about.browser" : "glossary.about.server");
  for (const part of card.querySelectorAll(".server")) part.hidden = isHere();
  name.required = !isHere();
  name.value = isHere() || !which.value ? "" : which.selectedOptions[0].textContent;
  $("#terms-delete").hidden = !which.value;
  if (isHere()) return fill(keep.terms()[target.value]);
  if (!which.value) return fill();
  stored = (await get(`v1/glossaries/${which.value}`, how)).dictionaries;
  [source.value, target.value] = [stored[0].source, stored[0].target];
  return fill(stored[0].entries);
}

// Of another pair of languages what is kept of it, and what was typed since.
function showPair() {
  const typed = lines().filter((row) => row.some(Boolean) && !filled.includes(String(row)));
  if (isHere()) fill(keep.terms()[target.value]);
  else fill(stored.find((each) => each.source === source.value && each.target === target.value)?.entries);
  for (const pair of typed) add(...pair);
}

// Until a glossary is shown nothing of it can be edited, saved or deleted.
function empty(disabled = true) {
  rows.replaceChildren();
  for (const each of card.querySelectorAll("form button:not(.close)")) each.disabled = disabled;
}

function fill(entries = {}) {
  empty(false);
  $("#terms-delete").dataset.sure = "";
  $("#terms-delete").textContent = t("glossary.delete");
  for (const pair of Object.entries(entries)) add(...pair);
  add();
  filled = lines().map(String);
}

const lines = () => [...rows.rows].map((row) => [...row.querySelectorAll("input")].map(({ value }) => value.trim()));

// It is gone for good, so a second click is asked for.
function isSure() {
  const asked = $("#terms-delete");
  if (asked.dataset.sure) return true;
  asked.dataset.sure = "yes";
  asked.textContent = t("glossary.sure");
  return false;
}

function add(term = "", translation = "") {
  const cells = [["glossary.term", term], ["glossary.translation", translation]].map(([label, value]) => {
    const box = element("input", { value, dir: "auto", maxLength: 200 });
    box.setAttribute("aria-label", t(label));
    return box;
  });
  const remover = button("✕", () => row.remove(), { title: t("glossary.remove") });
  remover.setAttribute("aria-label", t("glossary.remove"));
  const row = element("tr", {}, ...[...cells, remover].map((each) => element("td", {}, each)));
  rows.append(row);
  return cells[0];
}

// Keep the terms; of a glossary of the server those of its other pairs of languages stay.
async function put() {
  const pairs = lines().filter(([term, translation]) => term || translation);
  const entries = Object.fromEntries(pairs);
  const isWhole = pairs.every(([term, translation]) => term && translation);
  if (!isWhole || Object.keys(entries).length < pairs.length) throw new Problem({ detail: t("glossary.wrong") });
  if (isHere()) {
    keep.keepTerms(target.value, entries);
    return choices.BROWSER;
  }
  const fields = { name: name.value.trim(), source: source.value, target: target.value, entries };
  if (!which.value) return (await post("v1/glossaries", fields, how)).id;
  await send(`v1/glossaries/${which.value}`, fields, how, "PUT");
  return which.value;
}

const drop = (id) => request(`v1/glossaries/${id}`, { method: "DELETE" }, how);
