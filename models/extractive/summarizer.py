"""An article's own sentences as its summary: split, embedded, chosen."""

from models.extractive.choose import choose
from models.extractive.encoder import SentenceEncoder
from models.text.article import Article
from models.text.segment import sentences
from models.text.span import Span


def summarize(
    article: Article,
    language: str,
    encoder: SentenceEncoder,
    *,
    max_words: int,
    max_sentences: int | None = None,
) -> list[Span]:
    """Spans of the article's text, in its order, of at most `max_words` words together.

    The first sentence taken may alone be longer. Empty only if the article has no sentence.
    """
    spans = [
        span for paragraph in article.paragraphs for span in sentences(article.text, language, paragraph)
    ]
    if not spans:
        return []
    texts = [" ".join(article.text[span.start : span.end].split()) for span in spans]
    chosen = choose(texts, encoder.embed(texts), max_words=max_words, max_sentences=max_sentences)
    return [spans[i] for i in chosen]
