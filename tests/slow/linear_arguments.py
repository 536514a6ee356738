"""How the walker of `test_linear` makes arguments: by a parameter's type, by its name, for one callable."""

import dataclasses
import inspect
import sys
import types
import typing
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from linear_documents import DOCUMENTS, READERS
from linear_files import pdf_of, srt_of
from linear_texts import Fed, pieces
from linear_values import (
    block_of,
    body_of,
    element_of,
    invalid_of,
    kept_of,
    language_of,
    lines_of,
    masked_of,
    restored_of,
    run_of,
)
from lxml import etree
from pydantic import BaseModel, ValidationError

from models.checks.evidence import TermWeights
from models.checks.flag import Flag, HasSeverity
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.checks.registry import SUMMARY_CHECKS, TRANSLATION_CHECKS
from models.checks.summary.placement import Surroundings
from models.errors import InvalidInput
from models.languages import Languages
from models.steps import Words
from models.summarize.summarizer import Summary, SummarySentence
from models.text.article import Article, read_verbatim
from models.text.article.html_article import Block, Body
from models.text.article.paste import Lines
from models.text.detect import LanguageDetector
from models.text.markup.build import Node, Run
from models.text.markup.place import Piece, Target
from models.text.span import Span
from models.text.terms import Folded, Terms
from service import answers, options
from service.answers import SpanPart, TranslationFlag
from service.documents.formats import Document
from service.documents.plain import PlainDocument
from service.http.compat.openai_prompts import Form, LanguageNames, PromptReader, PromptTask
from service.settings import Settings


class Unmakeable(Exception):
    """The tables here have nothing for a parameter."""


def arguments(name: str, call: Callable[..., Any], owner: type | None, fed: Fed) -> tuple[list[Any], dict]:
    """What to call it with, made of the texts. Raises Unmakeable."""
    if name in BY_CALLABLE:
        return list(BY_CALLABLE[name](fed)), {}
    if owner is not None and call.__name__ == "<lambda>":
        return [make(owner, "self", fed)], {}
    if call.__name__ == "model_validate":
        return [fields(call.__self__, fed)], {}
    given, named = [], {}
    hints = _hints(call)
    for parameter in inspect.signature(call).parameters.values():
        kind = owner if parameter.name == "self" else hints.get(parameter.name, Any)
        value = make(kind, parameter.name, fed)
        if parameter.kind is parameter.VAR_POSITIONAL:
            given.append(value)
        elif parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = value
        elif parameter.kind is not parameter.VAR_KEYWORD:
            given.append(value)
    return given, named


def _hints(call: Callable[..., Any]) -> dict[str, Any]:
    if inspect.isclass(call) and call.__init__ is not object.__init__:
        return typing.get_type_hints(call.__init__)
    return typing.get_type_hints(call)


def make(kind: Any, name: str, fed: Fed) -> Any:
    """A value of this type for a parameter of this name."""
    if isinstance(kind, typing.ForwardRef):
        kind = getattr(answers, kind.__forward_arg__)
    if isinstance(kind, Hashable) and kind in BY_TYPE:
        return BY_TYPE[kind](fed)
    if name in BY_NAME:
        return BY_NAME[name](fed)
    if kind in (str, Any, object, Hashable) or isinstance(kind, typing.TypeVar):
        return fed.beside if name in BESIDE else fed.text
    origin, of = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return make(of[0], name, fed)
    if origin is typing.Literal:
        return of[0]
    if origin is type:
        return options.TranslateBody
    if origin in (typing.Union, types.UnionType):
        return _first_of(of, name, fed)
    if origin in (Mapping, dict):
        return {make(of[0], "", each): make(of[1], "", each) for each in pieces(fed)}
    if origin is Counter:
        return Counter(make(of[0], "", each) for each in pieces(fed))
    if origin is tuple and of[-1] is not Ellipsis:
        return tuple(make(each, "", fed) for each in of)
    if origin in _OF_MANY:
        return _OF_MANY[origin](make(of[0], name, each) for each in pieces(fed))
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        return kind.model_validate(fields(kind, fed))
    if _is_ours(kind):
        given, named = arguments(f"{kind.__module__}.{kind.__qualname__}", kind, None, fed)
        return kind(*given, **named)
    raise Unmakeable(f"{name}: {kind}")


def _is_ours(kind: Any) -> bool:
    """Return true for a class of these packages that can be made."""
    ours = inspect.isclass(kind) and kind.__module__.startswith(OURS)
    return ours and not getattr(kind, "_is_protocol", False)


def _first_of(kinds: Sequence[Any], name: str, fed: Fed) -> Any:
    for kind in kinds:
        if kind is not types.NoneType:
            try:
                return make(kind, name, fed)
            except Unmakeable:
                continue
    if types.NoneType in kinds:
        return None
    raise Unmakeable(f"{name}: {kinds}")


def fields(model: type[BaseModel], fed: Fed) -> dict[str, Any]:
    """A body of JSON: the text in each of its fields that may hold one, of inputs in the first."""
    made: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if name in ("html", "texts", "tsv", "csv") and ({"text", "entries"} & made.keys()):
            continue
        try:
            made[name] = jsonable(make(field.annotation, name, fed))
        except Unmakeable:
            if field.is_required():
                raise
    return made


def jsonable(value: Any) -> Any:
    """Parts of an answer as they are, tuples as lists."""
    return list(value) if type(value) in (tuple, frozenset) else value


def _summary(fed: Fed) -> list[Any]:
    made = make(Summary, "summary", fed)
    sentences = tuple(SummarySentence(each.text) for each in pieces(fed))
    return [dataclasses.replace(made, sentences=sentences, summary=" ".join(s.text for s in sentences))]


def _translated(name: str, fed: Fed) -> list[Any]:
    """A document and the text that it gave to translate, as it was."""
    module, _, kind = name.rpartition(".")
    document = make(getattr(sys.modules[module], kind), "", fed)
    return [document, document.to_translate().text, "fr"]


_LANGUAGES = Languages.load()
_NAMES, _PROMPTS = LanguageNames(_LANGUAGES, {}), PromptReader(_LANGUAGES)
_SETTINGS = Settings(max_request_characters=10**9).model_copy(update={"max_html_characters": 10**9})
OURS = ("models.", "service.")
BESIDE = frozenset(("output", "beside", "other", "target", "translation", "to"))
"""Parameters that take the text beside the first one."""
_OF_MANY: dict[Any, Callable[[Iterable[Any]], Any]] = {
    **dict.fromkeys((list, Sequence, Collection, Iterable), list),
    tuple: tuple,
    **dict.fromkeys((set, Set), set),
    frozenset: frozenset,
}
BY_TYPE: dict[Any, Callable[[Fed], Any]] = {
    bool: lambda _: True,
    int: lambda fed: len(fed.text),
    float: lambda _: 0.5,
    bytes: lambda fed: fed.text.encode("utf-8", "replace"),
    datetime: lambda _: datetime.now(UTC),
    Span: lambda fed: Span(0, max(1, len(fed.text))),
    Article: lambda fed: read_verbatim(fed.text),
    Pair: lambda fed: Pair(Reading(fed.text, language_of(fed)), Reading(fed.beside, language_of(fed))),
    etree._Element: element_of,
    Block: block_of,
    Body: body_of,
    Lines: lines_of,
    Run: run_of,
    Node: lambda fed: Node("pair", Span(0, max(1, len(fed.text))), "<b>", "</b>"),
    HasSeverity: lambda fed: Flag("number", Span(0, 1), fed.text),
    SpanPart: lambda fed: {"start": 0, "end": len(fed.text)},
    TranslationFlag: lambda fed: {
        "kind": fed.text,
        "span": {"start": 0, "end": 1},
        "reason": fed.text,
        "severity": "error",
    },
    options.SummarizeForm: lambda fed: options.SummarizeForm(file=fed.text),
    options.TranslateForm: lambda fed: options.TranslateForm(file=fed.text, target="fr"),
    Document: lambda fed: PlainDocument(fed.text, "text", ".txt"),
    Settings: lambda _: _SETTINGS,
    LanguageDetector: lambda _: LanguageDetector(),
    Languages: lambda _: _LANGUAGES,
    LanguageNames: lambda _: _NAMES,
    PromptReader: lambda _: _PROMPTS,
    Form: lambda _: Form("{any} {source}, {any} {target}:\n{text}.", PromptTask("translate")),
    ValidationError: invalid_of,
    InvalidInput: lambda fed: InvalidInput(fed.text, field=fed.text),
}
BY_NAME: dict[str, Callable[[Fed], Any]] = {
    **dict.fromkeys(("language", "source_language", "output_language", "target_language"), language_of),
    **dict.fromkeys(("escape", "finish"), lambda _: str),
    "matches": lambda _: lambda lines, i: False,
    "parts": lambda _: "words",
    "adjoin": lambda _: lambda line, following: True,
    "fits": lambda _: lambda text: len(text) <= 100,
    "reads": lambda _: lambda language: False,
    "named_terms": lambda _: None,
    "problem": lambda _: None,
    "field": lambda _: "text",
    "line_end": lambda _: "\n",
    "limit": lambda _: 100,
    "width": lambda _: 60,
    "kept": kept_of,
    "odds": lambda fed: np.random.default_rng(1).normal(size=len(fed.text)),
}
BY_CALLABLE: dict[str, Callable[[Fed], Iterable[Any]]] = {
    "models.checks.registry.run": lambda fed: [SUMMARY_CHECKS + TRANSLATION_CHECKS, BY_TYPE[Pair](fed)],
    "models.text.markup.place.place": lambda fed: [
        found := run_of(fed),
        [Piece(Span(0, len(found.text)), fed.beside)],
        " ",
    ],
    "models.text.terms.Terms.target": lambda fed: [
        Terms((f"a{fed.text}",), {}, fed.text),
        " ".join(f"a{fed.text}".split()),
    ],
    "models.text.terms.Folded.span": lambda fed: [Folded(f"a{fed.text}"), 0, 1],
    "models.text.markup.build.Run.origin": lambda fed: [run_of(fed), Span(0, 1)],
    "models.text.markup.place.find": lambda fed: [["a b"], fed.text, Span(0, 1), Target(fed.beside)],
    "models.checks.summary.placement.Surroundings.context": lambda fed: [
        Surroundings(source := Reading(fed.text, "en"), TermWeights(source)),
        Reading(f"A. {fed.text}", "en"),
        Span(0, 1),
    ],
    "models.text.article.paste.Lines.alike": lambda fed: [lines_of(fed), 0, -1],
    "models.text.terms.unmask": masked_of,
    "models.text.markup.build.restore": restored_of,
    "service.documents.read_document": lambda fed: ["a.md", fed.text.encode("utf-8", "replace")],
    "service.documents.pdf.PdfDocument": lambda fed: [pdf_of(fed)],
    "service.documents.subtitles.Subtitles": lambda fed: [srt_of(fed)],
    **DOCUMENTS,
    **{
        f"service.documents.{name}.translated": partial(_translated, f"service.documents.{name}")
        for name in (
            "plain.PlainDocument",
            "pdf.PdfDocument",
            "subtitles.Subtitles",
            *READERS,
        )
    },
    "service.answers.render": _summary,
    "service.answers.render_event": lambda fed: [Words(fed.text)],
    "service.validation.validated": lambda fed: [
        options.TranslateForm,
        {
            "file": fed.text,
            "target": fed.text,
            fed.text: fed.text,
            "protect": [each.text for each in pieces(fed)],
            "glossary": {each.text: each.beside for each in pieces(fed)},
        },
    ],
    "service.options.given_field": lambda fed: [options.DetectBody(text=fed.text)],
    "service.options.inputs": lambda fed: [options.CleanBody(text=fed.text), _SETTINGS],
}
