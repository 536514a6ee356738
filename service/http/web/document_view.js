// A translated file before it is downloaded: its text, with what the checks found in it.

import { list, marked, tally } from "./flags.js";
import { Result } from "./result.js";
import { Text } from "./text.js";
import { $, element } from "./words.js";

export class DocumentView extends Result {
  constructor(onDownload) {
    super("#document");
    $("#document-download").addEventListener("click", onDownload);
  }

  show({ document: { name, translation, checked, notes }, asked }) {
    this.start();
    this.set(translation);
    $("#document-download").textContent = `Download ${name}`;
    const whole = new Text(translation);
    const nodes = [];
    const found = [];
    let end = 0;
    for (const sentence of checked) {
      nodes.push(whole.slice(end, sentence.start));
      nodes.push(element("span", {}, ...marked(new Text(sentence.text), sentence.flags.map((flag) => within(flag, sentence)))));
      found.push(...sentence.flags.map((flag) => ({ words: whole.slice(flag.start, flag.end), flag })));
      end = sentence.end;
    }
    this.body.lang = asked.target;
    this.body.replaceChildren(...nodes, whole.slice(end));
    list($(".findings", this.section), found);
    tally($(".tally", this.section), found, checked.length);
    this.fine([notes, "This is the text alone; the file has its form too."]);
  }
}

const within = (flag, sentence) => ({
  ...flag,
  start: Math.max(0, flag.start - sentence.start),
  end: Math.min(flag.end, sentence.end) - sentence.start,
});
