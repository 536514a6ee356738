// What this browser keeps: the work at hand, for a reload of this tab, and a history, unless that is off.

const DRAFT = "dragoman.draft";
const HISTORY = "dragoman.history";
const KEY = "dragoman.key";
const TERMS = "dragoman.terms";
const OFF = "dragoman.history.off";
const MOST = 20;
const MOST_CHARACTERS = 2_000_000;

let due = null;

// A browser that blocks site data keeps things for as long as the page is open.
function storage(name) {
  try {
    return window[name];
  } catch {
    const own = new Map();
    return { getItem: (k) => own.get(k) ?? null, setItem: (k, v) => own.set(k, v), removeItem: (k) => own.delete(k) };
  }
}

const [local, tab] = ["localStorage", "sessionStorage"].map(storage);

// Keep the draft soon: many sentences may come in a second.
export function keep(draft) {
  due ??= setTimeout(() => keepNow(draft), 400);
}

export function keepNow(draft) {
  clearTimeout(due);
  due = null;
  store(tab, DRAFT, draft);
  if (isOn() && draft.article) remember(draft);
}

export function forget() {
  clearTimeout(due);
  due = null;
  tab.removeItem(DRAFT);
}

export const kept = () => load(tab, DRAFT, null);

// The API key, for as long as this tab is open.
export const key = () => tab.getItem(KEY) ?? "";

export const keepKey = (key) => tab.setItem(KEY, key);

export const isOn = () => chosen(OFF) === null;

export function turn(on) {
  if (!on) clear();
  choose(OFF, on ? null : "1");
}

// A choice of the reader's by its name, such as a language; null if none was made.
export const chosen = (name) => local.getItem(name);

export function choose(name, value) {
  try {
    if (value === null) local.removeItem(name);
    else local.setItem(name, value);
  } catch { /* it holds for this page */ }
}

// Terms, and what each is to be, by the language that they are translated into.
export const terms = () => load(local, TERMS, {});

export const hasTerms = () => Object.values(terms()).some((each) => Object.keys(each).length);

export const keepTerms = (target, entries) => store(local, TERMS, { ...terms(), [target]: entries });

// The drafts, the newest first.
export const history = () => load(local, HISTORY, []);

export const clear = () => local.removeItem(HISTORY);

function remember(draft) {
  if (JSON.stringify(draft).length > MOST_CHARACTERS) return;
  const drafts = [draft, ...history().filter((each) => each.id !== draft.id)].slice(0, MOST);
  while (drafts.length > 1 && JSON.stringify(drafts).length > MOST_CHARACTERS) drafts.pop();
  store(local, HISTORY, drafts);
}

// A browser that keeps nothing, or has no room left, keeps the page from nothing else.
function store(place, name, value) {
  try {
    place.setItem(name, JSON.stringify(value));
  } catch { /* what was kept before stays */ }
}

function load(place, name, otherwise) {
  try {
    return JSON.parse(place.getItem(name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}
