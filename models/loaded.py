"""A loaded model of each kind: one that writes, one that picks sentences, one that judges pairs."""

from dataclasses import dataclass

from models.catalog import ModelEntry
from models.codec import Codec
from models.engine.protocol import Engine
from models.entailment import Entailment
from models.summarize.encoder import SentenceEncoder


@dataclass(frozen=True, slots=True)
class TextModel:
    """A model that writes: a codec between text and ids, an engine between ids and ids."""

    entry: ModelEntry
    codec: Codec
    engine: Engine


@dataclass(frozen=True, slots=True)
class ExtractiveModel:
    """A model that only reads: it embeds sentences, so that the best can be picked."""

    entry: ModelEntry
    encoder: SentenceEncoder

    def knows(self, language: str) -> bool:
        """Return whether the encoder was trained on the language, as far as its entry says."""
        return language in (self.entry.trained_languages or (language,))


@dataclass(frozen=True, slots=True)
class EntailmentModel:
    """A model that says whether one text follows from another."""

    entry: ModelEntry
    entailment: Entailment


Model = TextModel | ExtractiveModel | EntailmentModel
