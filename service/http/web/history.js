// The list of what was made in this browser: opened by a click, cleared by another, off by a third.

import * as keep from "./keep.js";
import { titleOf } from "./draft.js";
import { locale, t } from "./language.js";
import { $, element, short } from "./words.js";

// `open` hears which draft is wanted back.
export function startHistory(open) {
  const box = $("#history");
  box.addEventListener("toggle", () => { if (box.open) fill(open); });
  $("#history-on").addEventListener("change", ({ target }) => { keep.turn(target.checked); fill(open); });
  $("#history-clear").addEventListener("click", () => { keep.clear(); fill(open); });
}

function fill(open) {
  const drafts = keep.history();
  $("#history-on").checked = keep.isOn();
  $("#history-clear").hidden = !drafts.length;
  $("#history p").textContent = drafts.length
    ? t("history.some")
    : t(keep.isOn() ? "history.none" : "history.off");
  $("#history ul").replaceChildren(...drafts.map((draft) => {
    const when = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(new Date(draft.made));
    const made = draft.state === "done" ? when : t("history.unfinished", { made: when });
    const button = element("button", { type: "button", className: "entry" }, element("b", { dir: "auto" }, short(titleOf(draft), 70)), element("span", {}, made));
    button.addEventListener("click", () => { $("#history").open = false; open(draft); });
    return element("li", {}, button);
  }));
}
