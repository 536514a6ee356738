"""A summary as it is asked for and as it is answered. Plain data: no model, no text handling."""

from dataclasses import dataclass

from models.checks.evidence import Evidence
from models.checks.flag import Flag
from models.choices import DEFAULT_LENGTH, Length, OnUnsupported, SummaryFormat
from models.tasks.steps import Event
from models.tasks.usage import Usage
from models.text.article import Dropped
from models.text.detect import Detection
from models.text.span import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRequest:
    """One article to summarize. Exactly one of `text` (pasted) and `html` is given."""

    text: str | None = None
    html: str | None = None
    length: Length = DEFAULT_LENGTH
    max_sentences: int | None = None
    max_tokens: int | None = None
    """At most about so long, whatever `length` says, in tokens of a summary that a model writes."""
    min_tokens: int | None = None
    """At least about so long, as far as the article and `max_tokens` allow."""
    format: SummaryFormat = "paragraph"
    model: str | None = None
    """A name from the catalog; None means the service's default."""
    target: str | None = None
    """The language of the summary; None means the article's own."""
    clean: bool = True
    """False reads all of the text, without looking for what the web page put around the article."""
    on_unsupported: OnUnsupported = "flag"
    """What becomes of a sentence in which a check finds an error: it is flagged; or left out; or the summary
    is written once more in another way, the better of the two is kept, and flagged where need be."""


@dataclass(frozen=True, slots=True)
class SummarySentence:
    """A sentence of the summary."""

    text: str
    source: Span | None = None
    """Where it stands in the article, if it is the article's own sentence, cut or translated maybe."""
    original: str | None = None
    """The sentence before it was translated, if it was."""
    evidence: tuple[Evidence, ...] = ()
    """The article's sentences that support it best, the best first."""
    flags: tuple[Flag, ...] = ()
    """What the article does not support, in this sentence's text; of a translated one, in all of it."""


@dataclass(frozen=True, slots=True)
class SentenceReady(Event):
    """A sentence, by its place, is there: checked, and translated if that was asked; as in the result."""

    index: int
    sentence: SummarySentence
    again: bool = False
    """True if its translation is being tried once more: the better one will be told."""


@dataclass(frozen=True, slots=True)
class SummarySource:
    """What was read. Spans refer to the request's `text`, or for HTML to `text` here."""

    characters: int
    sentences: int
    title: str | None
    dropped: tuple[Dropped, ...]
    windows: int
    """In how many pieces the article was summarized; all of it is read, whatever the number."""
    coverage: float
    """The share of these characters that the model was given, 0 to 1."""
    text: str | None = None
    """The article extracted from HTML; None for pasted text, which the caller has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A finished summary."""

    summary: str
    sentences: tuple[SummarySentence, ...]
    language: str
    model: str
    translation_model: str | None
    detected: Detection
    """The article's language."""
    source: SummarySource
    usage: Usage
    notes: tuple[str, ...]
    """What the reader should know, such as that the text was shorter than a summary of it."""
    cautions: tuple[str, ...] = ()
    """Those of its translation."""
