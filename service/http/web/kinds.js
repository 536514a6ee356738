// What a pasted text is: a web page, XML, HTML, Markdown or plain; and which block each of its sentences stands in.

import { t } from "./language.js";

const PAGE = /^\s*(?:<\?xml\b[^>]*>\s*)?(?:<!doctype html|<html[\s>]|<head[\s>]|<body[\s>])/i;
const XML = /^\s*<\?xml\b/i;
const HTML = /^\s*<([a-z][a-z0-9]*)\b[^<>]*>[^]*<\/[a-z][a-z0-9]*>/i;
const MARKDOWN = [
  /^#{1,6} +\S/m, // a heading
  /^(?:```|~~~)/m, // code
  /\*\*[^\s*][^*\n]*\*\*/, // bold
  /\[[^[\]\n]+\]\([^()\s]+\)/, // a link
  /^\|(?:[^|\n]*\|){2,}\s*$/m, // a table
];

export function kindOf(text) {
  if (PAGE.test(text)) return "page";
  if (XML.test(text)) return "xml";
  if (HTML.test(text)) return "html";
  return MARKDOWN.some((mark) => mark.test(text)) ? "markdown" : "text";
}

// The format that a translation is asked in: of a web page its article is read, which is plain text.
export const formatOf = (kind) => (kind === "page" ? "text" : kind);

export const kindWords = (kind) => ({ page: t("count.page"), html: "HTML", xml: "XML", markdown: "Markdown", text: t("count.text") })[kind] ?? kind;

// What a reader reads of Markdown: no code, no marks, a link's words alone.
export const plainMarkdown = (text) =>
  text
    .replace(/^(```|~~~)[^\n]*\n[^]*?^\1.*$/gm, "")
    .replace(/^[ \t]*(?:#{1,6}|[-*+]|\d+[.)]|>)[ \t]+/gm, "")
    .replace(/!?\[([^[\]\n]*)\]\([^()\s]+\)/g, "$1")
    .replace(/(\*\*|__|`)(?=\S)([^\n]*?\S)\1/g, "$2")
    .replace(/(?<![\w*])([*_])(?=[^\s*_])([^\n*_]*?\S)\1(?![\w*])/g, "$2")
    .replace(/\n{3,}/g, "\n\n")
    .trim();

// For each segment, in order: the class of the block that it begins, "" for running text, null inside a block;
// and the code that stands before it, which nobody translates.
export function blocks(text, format, segments) {
  let end = 0;
  return segments.map(({ source }) => {
    const gap = text.slice(end, source.start);
    end = source.end;
    if (format === "markdown") return { block: markdownBlock(gap), code: markdownCode(gap) };
    if (format === "html") return { block: htmlBlock(gap), code: htmlCode(gap) };
    return { block: null, code: "" };
  });
}

function markdownBlock(gap) {
  const line = /(?:^|\n)([^\n]*)$/.exec(gap)[1];
  if (gap && !gap.includes("\n") && !line.trim()) return null;
  const heading = /^\s*(#{1,6})\s/.exec(line);
  if (heading) return `h${heading[1].length}`;
  if (/^\s*(?:[-*+]|\d+[.)])\s/.test(line)) return "li";
  return /^\s*>/.test(line) ? "quote" : "";
}

const markdownCode = (gap) => [...gap.matchAll(/^(```|~~~)[^\n]*\n([^]*?)^\1/gm)].map((found) => found[2]).join("\n");

function htmlBlock(gap) {
  const opened = [...gap.matchAll(/<(h[1-6]|li|blockquote|p|td|th|div)\b/gi)].pop()?.[1].toLowerCase();
  if (!opened) return null;
  return { blockquote: "quote", p: "", td: "", th: "", div: "" }[opened] ?? opened;
}

const htmlCode = (gap) =>
  [...gap.matchAll(/<pre\b[^>]*>([^]*?)<\/pre>/gi)].map((found) => found[1].replace(/<[^<>]*>/g, "")).join("\n");
