"""A loaded model of each kind: one that writes, one that picks sentences, one that judges pairs."""

from dataclasses import dataclass

from models.catalog import ModelEntry
from models.codec import Codec
from models.engine.protocol import Engine
from models.entailment import Entailment


@dataclass(frozen=True, slots=True)
class TextModel:
    """A model that writes: a codec between text and ids, an engine between ids and ids."""

    entry: ModelEntry
    codec: Codec
    engine: Engine


@dataclass(frozen=True, slots=True)
class ExtractiveModel:
    """The rules that pick an article's best sentences: nothing is loaded."""

    entry: ModelEntry


@dataclass(frozen=True, slots=True)
class EntailmentModel:
    """A model that says whether one text follows from another."""

    entry: ModelEntry
    entailment: Entailment


Model = TextModel | ExtractiveModel | EntailmentModel
