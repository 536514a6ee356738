// Every failure in plain words, with what the reader can do about it.

import { knows, t } from "./language.js";
import { Problem } from "./service.js";
import { english, listed, named, sentence } from "./words.js";

export function explain(error) {
  if (!(error instanceof Problem)) return t("failure.page", { detail: error.message });
  const { allowed, status, request_id: id } = error.document;
  const detail = sentence(error.message);
  const list = Array.isArray(allowed) ? listed(allowed.slice(0, 20)) : allowed;
  if (error.kind === "unsupported-language" && Array.isArray(allowed)) {
    return t("failure.unsupported-language.knows", { detail, languages: listed(allowed.map(named)) });
  }
  const key = `failure.${error.kind}`;
  if (error.kind && knows(key)) return t(key, { detail, allowed: list, id, time: duration(error.retryAfterS) });
  return status < 500 && list ? t("failure.allowed", { detail, allowed: list }) : detail;
}

// The same as nodes, with what the server says itself as English.
export function explained(error) {
  const words = explain(error);
  const detail = error.kind && error.document.status ? sentence(error.message) : undefined;
  const around = words.split(detail);
  return around.length === 2 ? [around[0], english(detail), around[1]] : [words];
}

export const waitingWords = (problem, seconds) =>
  problem.kind === "not-ready" ? t("status.models") : t("status.again", { why: explain(problem), time: duration(seconds) });

export const wantsKey = (error) => error instanceof Problem && [401, 403].includes(error.document.status);

// What the server refuses for what it is, it would refuse again.
export const isHopeless = (error) =>
  error instanceof Problem && error.document.status >= 400 && error.document.status < 500 &&
  ![401, 403, 408, 429].includes(error.document.status);

export const lacksSource = (error) =>
  error instanceof Problem && error.kind === "unsupported-language" && error.document.field !== "glossary";

export function duration(seconds) {
  if (seconds < 90) return t("duration.seconds", { count: Math.ceil(seconds) });
  if (seconds < 5400) return t("duration.minutes", { count: Math.round(seconds / 60) });
  return t("duration.hours", { count: Math.round(seconds / 3600) });
}
