// A translated file before it is downloaded: its sentences side by side, with what the checks found in them.

import { isTrust } from "./flags.js";
import { t } from "./language.js";
import { Text } from "./text.js";
import { TranslationView } from "./translation_view.js";
import { $, noted } from "./words.js";

export class DocumentView extends TranslationView {
  constructor(article, onDownload) {
    super("#document", article);
    $("#document-download").addEventListener("click", onDownload);
  }

  // The sentences that are there, while it is in work and after.
  show({ document: { name, segments, notes }, asked, language }) {
    this.start();
    this.source = new Text("");
    const parts = [{ start: 0, end: 0, state: name ? "done" : "running", segments, text: joined(segments), total: segments[0]?.total }];
    this.part(parts[0], { asked, language, edits: {}, format: "text" });
    this.close({ parts, toTranslate: "", edits: {}, about: null });
    $("#document-download").textContent = t("document.download", { name: name ?? "" });
    $("#document-download").disabled = !name;
    const others = notes.split(/; (?!\S+, named as)/).filter((note) => note && !isTrust(note));
    this.fine([...noted(others), name && t("document.only")]);
  }
}

// A new line where there is more than a space between sentences.
function joined(segments) {
  let [said, end] = ["", 0];
  for (const { source, text } of segments) {
    said += `${said && (source.start - end > 1 ? "\n\n" : " ")}${text}`;
    end = source.end;
  }
  return said;
}
