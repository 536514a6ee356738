// Every failure in plain words, with what the reader can do about it.

import { Problem } from "./service.js";
import { count, listed, named, sentence } from "./words.js";

const WORDS = {
  "unreachable": () => "The server cannot be reached. Is it running, and is this computer online?",
  "broken-off": () => "The connection broke off midway.",
  "key-required": () => "This server requires an API key. Enter yours.",
  "unknown-key": () => "The server does not know this API key. Check it for typos, or ask for a new key.",
  "revoked-key": () => "This API key was revoked. Ask for a new one.",
  "overloaded": () => "The server is busy.",
  "rate-limited": () => "You are sending requests too quickly.",
  "characters-spent": ({ retryAfterS }) =>
    `You have used up today's characters. More in ${duration(retryAfterS)}.`,
  "not-ready": () => "The server has just started and is loading its models.",
  "model-loading": ({ message }) => `The server is fetching or loading a model. ${sentence(message)}`,
  "deadline-exceeded": () => "The request took longer than the server allows.",
  "model-unavailable": ({ message }) => `The server does not have this model's files. ${sentence(message)}`,
  "engine-gone": () => "The server's models stopped and are being restarted.",
  "engine-failed": () => "The model failed on this text. Another model may manage it.",
  "unsupported-language": ({ document }) => unsupported(document),
  "text-too-long": ({ document }) => `The text is too long for this server, which takes ${document.allowed}.`,
  "body-too-large": () => "The file is too large for this server.",
  "unknown-job": () => "The server has forgotten this job.",
  "store-unavailable": () => "The server cannot store anything right now: its disk may be full.",
  "unexpected-error": ({ document }) =>
    `Something went wrong in the server. Its log has the cause, under ${document.request_id}.`,
};

export function explain(error) {
  if (!(error instanceof Problem)) return `The page itself failed: ${error.message}`;
  const words = WORDS[error.kind];
  if (words) return words(error);
  const { allowed, status } = error.document;
  const may = Array.isArray(allowed) ? listed(allowed.slice(0, 20)) : allowed;
  const said = sentence(error.message);
  return status < 500 && may ? `${said} Allowed: ${may}.` : said;
}

export const waitingWords = (problem, seconds) =>
  problem.kind === "not-ready"
    ? "The models are loading. Your request starts as soon as they are ready …"
    : `${explain(problem)} Trying again in ${duration(seconds)} …`;

export const wantsKey = (error) => error instanceof Problem && [401, 403].includes(error.document.status);

// What the server refuses for what it is, it would refuse again.
export const isHopeless = (error) =>
  error instanceof Problem && error.document.status >= 400 && error.document.status < 500 &&
  ![401, 403, 408, 429].includes(error.document.status);

export const lacksSource = (error) =>
  error instanceof Problem && error.kind === "unsupported-language" && error.document.field !== "glossary";

export function duration(seconds) {
  if (seconds < 90) return count(Math.ceil(seconds), "second");
  if (seconds < 5400) return count(Math.round(seconds / 60), "minute");
  return count(Math.round(seconds / 3600), "hour");
}

function unsupported({ detail, allowed }) {
  const languages = Array.isArray(allowed) ? ` It knows ${listed(allowed.map(named))}.` : "";
  return `${sentence(detail)}${languages}`;
}
