"""Values of some types that hold a text: elements, blocks, lines, runs. For the walker of `test_linear`."""

from html import escape
from typing import Any

import numpy as np
from linear_texts import Fed, pieces
from lxml import etree
from pydantic import ValidationError

from models.text.article.html_article import (
    Block,
    Body,
    Extraction,
    find_body,
    parse_page,
    read_blocks,
    words,
)
from models.text.article.paste import Lines
from models.text.markup import html
from models.text.markup.build import Run, plain
from models.text.span import Span
from models.text.terms import Held, mask
from service import options


def language_of(fed: Fed) -> str:
    """A language whose own rules the text calls up."""
    text = fed.text + fed.beside
    spans = {"а": "ru", "一": "zh", "ぁ": "ja", "ก": "th", "ا": "ar", "가": "ko", "ऀ": "hi"}
    for first, language in spans.items():
        if any(ord(first) <= ord(character) < ord(first) + 0x60 for character in text[:60]):
            return language
    return "zh" if any("\u4e00" <= character < "\ua000" for character in text[:60]) else "en"


def element_of(fed: Fed) -> etree._Element:
    found = escape(fed.text.replace("\0", ""))
    return parse_page(f'<html><body><div class="{found}" id="{found}">{found}</div></body></html>')


def block_of(fed: Fed) -> Block:
    return Block(fed.text, words(fed.text), 0.0, (parse_page("<html><body><p>a</p></body></html>"),))


def body_of(fed: Fed) -> Body:
    markup = "".join(f"<p>{escape(each.text)}</p>" for each in pieces(fed))
    blocks = read_blocks(parse_page(f"<html><body><p>a</p>{markup}</body></html>"))
    extraction = Extraction(" ".join(each.text for each in blocks))
    return find_body(blocks, "a", extraction, extraction)


def lines_of(fed: Fed) -> Lines:
    found = [line for line in fed.text.split("\n") if line.strip()] or ["a"]
    return Lines(found, [i % 2 == 0 for i in range(len(found))])


def kept_of(fed: Fed) -> Any:
    return np.array([i % 3 > 0 for i in range(lines_of(fed).count)])


def run_of(fed: Fed) -> Run:
    runs = html.read(f"<p><b>a</b> {escape(fed.text.replace(chr(0), ''))} <i>b</i></p>")
    return runs[0] if runs else plain("a", Span(0, 1))


def masked_of(fed: Fed) -> list[Any]:
    held = [Held(Span(0, len(each.text)), each.text) for each in pieces(fed)]
    _, masks = mask(fed.text, held[:20] and [Held(Span(0, 1), fed.text[:1] or "a")])
    return [fed.beside, masks, [Held(Span(0, 1), fed.text[:1] or "a")]]


def restored_of(fed: Fed) -> list[Any]:
    runs = html.read(fed.text)
    return [fed.text, runs, [each.text for each in runs]]


def invalid_of(fed: Fed) -> ValidationError:
    try:
        options.SummarizeBody.model_validate({fed.text: fed.text, "length": fed.text})
    except ValidationError as error:
        return error
    raise AssertionError


NOTHING_TO_FEED: dict[str, str] = {
    "models.checks.language.cached_by_word": "wraps a function of our own",
    "models.checks.language.table": "reads a table of our own",
    "service.validation.absent": "describes a field of our own",
    "service.http.compat.openai_prompts.LanguageNames": "reads tables of our own",
    "service.http.compat.openai_prompts.PromptReader": "reads tables of our own",
}
"""Public callables that take nothing a stranger can feed, and why."""
