// The page's beginning: what is shown before anything is done, and what each of the reader's acts sets off.

import * as choices from "./choices.js";
import { showReasons, toNext } from "./flags.js";
import * as glossary from "./glossary.js";
import { startHistory } from "./history.js";
import * as keep from "./keep.js";
import { LANGUAGES, choose, locale, t } from "./language.js";
import * as memory from "./memory.js";
import * as session from "./session.js";
import { startTheme } from "./theme.js";
import { $, listed, save } from "./words.js";

async function begin() {
  $("#problem").hidden = true; // not afterwards: what is said while the lists are fetched stays
  try {
    await choices.fillChoices({ key: session.key() });
    tellComing();
  } catch (error) {
    session.complain(error);
  }
}

// What the server is fetching or loading, for as long as it is.
const LOOK_AGAIN_MS = 3000;
let looking = 0;

function tellComing() {
  const coming = choices.coming();
  $("#coming").textContent = coming.length ? t("status.loading", { models: listed(coming) }) : "";
  $("#coming").hidden = !coming.length;
  clearTimeout(looking);
  if (coming.length) looking = setTimeout(lookAgain, LOOK_AGAIN_MS);
}

async function lookAgain() {
  await choices.refreshModels({ key: session.key() }).catch(() => {});
  tellComing();
}

async function go() {
  if (!choices.isFilled) await begin(); // a key was not given, or the server not reached
  if (!choices.isFilled) return;
  await session.go();
  await lookAgain();
}

// Another choice: the lists that hang on it, the link that carries it, and what it makes old.
function chose({ target }) {
  if (target.name === "make") {
    choices.fillModels();
    choices.recallTarget();
  }
  if (target.name === "make" || target.id === "model") choices.fillLanguages();
  choices.remember();
  session.examine();
  session.changed();
}

async function copy(button, words) {
  await navigator.clipboard.writeText(words);
  button.textContent = t("copied");
  setTimeout(() => { button.textContent = t(button.dataset.t); }, 1500);
}

// ---------------------------------------------------------------------- what is asked

$("#form").addEventListener("submit", (event) => { event.preventDefault(); go(); });
$("#form").addEventListener("change", chose);
$("#swap").addEventListener("click", () => { choices.swap(); chose({ target: $("#target") }); });
$("#link").addEventListener("click", () => { choices.remember(); copy($("#link"), location.href); });
$("#stop").addEventListener("click", session.stop);
$("#go-on").addEventListener("click", session.run);
$("#key-open").addEventListener("click", () => session.askForKey());
$("#key-close").addEventListener("click", () => $("#key-card").close());
$("#key-card").addEventListener("submit", () => { keep.keepKey($("#key").value.trim()); begin(); });
$("#undo").addEventListener("click", session.undo);
$("#memory-open").addEventListener("click", () => memory.open({ key: session.key() }));
$("#glossary-open").addEventListener("click", () => glossary.open({ key: session.key() }));

// ---------------------------------------------------------------------- the article

const box = $("#article");
const source = $("#source");
box.addEventListener("input", session.typed);
box.addEventListener("keydown", (event) => {
  const isCommand = event.ctrlKey || event.metaKey;
  if (event.key === "Enter" && isCommand) $("#form").requestSubmit();
  if (event.key === "z" && isCommand && session.undo()) event.preventDefault();
});
$("#edit").addEventListener("click", session.edit);
$("#clear").addEventListener("click", session.clear);
$("#file-card button").addEventListener("click", session.clear);
$("#address").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [field, send] = [$("#address input"), $("#address button")];
  send.disabled = true;
  const isOpen = await session.openAddress(field.value);
  send.disabled = false;
  if (isOpen) field.value = "";
  const isWaitedFor = [document.body, field, send].includes(document.activeElement);
  if (isWaitedFor) (isOpen ? $("#go") : field).focus();
});
$("#file").addEventListener("change", ({ target }) => {
  if (target.files[0]) session.open(target.files[0]);
  target.value = "";
});
// A file may be dropped anywhere: beside the card, the browser would open it in the page's place.
const bringsFile = (event) => event.dataTransfer.types.includes("Files");
addEventListener("dragover", (event) => {
  if (!bringsFile(event)) return;
  event.preventDefault();
  source.classList.add("dropping");
});
addEventListener("dragleave", ({ relatedTarget }) => { if (!relatedTarget) source.classList.remove("dropping"); });
addEventListener("drop", (event) => {
  source.classList.remove("dropping");
  if (!bringsFile(event)) return;
  event.preventDefault();
  if (event.dataTransfer.files[0]) session.open(event.dataTransfer.files[0]);
});

// ---------------------------------------------------------------------- the results

for (const [name, view] of Object.entries(session.views)) {
  $(".next", view.section)?.addEventListener("click", () => toNext(view.section));
  const copier = $("[data-copy]", view.section);
  copier.addEventListener("click", () => copy(copier, view.text));
  $("[data-download]", view.section)?.addEventListener("click", () => {
    save(session.fileName(name), new Blob([view.text], { type: "text/plain" }));
  });
}

$("#language").replaceChildren(...Object.entries(LANGUAGES).map(([code, name]) => new Option(name, code)));
$("#language").value = locale;
$("#language").addEventListener("change", async ({ target }) => {
  const now = choices.chosen();
  await choose(target.value);
  await begin();
  choices.apply(now);
  session.redraw();
});

// On a phone the article comes before the options, to the eye and to the keyboard.
const phone = matchMedia("(max-width: 56rem)");
function arrange() {
  const held = document.activeElement;
  $(phone.matches ? "main" : ".panes").prepend(source);
  held.focus({ preventScroll: true });
}
phone.addEventListener("change", arrange);
arrange();

startTheme();
memory.startMemory();
glossary.startGlossaries((edited) => {
  choices.apply({ glossary: edited });
  choices.remember();
  session.changed();
});
showReasons($("#reason"));
startHistory(session.restore);
session.examine();
await begin();
const kept = keep.kept();
if (kept) session.restore(kept);
addEventListener("pagehide", session.leave);
