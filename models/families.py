"""The table of model families: how each is loaded, fed, converted and decoded.

The catalog, loading, conversion, codecs and engines read this table; none of them names a family. Knows no
text, tensors or models.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Kind = Literal["encoder-decoder", "causal", "server", "extractive", "entailment"]
"""The kinds of models: the first three write, behind an engine; the others only read."""

Weights = Literal["folder", "gguf", "elsewhere", "none"]
"""Where models' weights are: in a folder in transformers' layout, in a GGUF file that llama.cpp runs, behind
somebody else's server, or nowhere, since there are none."""

InputFormat = Literal[
    "text",
    "target_label",
    "target_token",
    "language_tokens",
    "completion",
    "chat",
    "chat_by_code",
    "messages",
]
"""The ways in which text becomes a writing model's input: a codec each, in models/codec.py, or for `messages`
in models/server_model.py."""

Judge = Literal["pair", "question", "support"]
"""The ways in which a model is asked whether one text follows from another, in models/entailment.py."""

AUTO_CLASSES: Mapping[Kind, str] = {
    "encoder-decoder": "AutoModelForSeq2SeqLM",
    "causal": "AutoModelForCausalLM",
}
"""The class of transformers that loads a model; a judge's is its own, in models/entailment.py."""

NUM_BEAMS = 4
"""The beams of a shipped encoder-decoder whose family and entry say nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFamily:
    """One family. What a field leaves out is what most encoder-decoders do."""

    kind: Kind = "encoder-decoder"
    tasks: tuple[str, ...] = ("summarize", "translate")
    """The tasks that an entry may have."""
    weights: Weights = "folder"
    input_format: InputFormat = "text"
    codes: str | None = None
    """The column of languages.toml with the models' own codes, where an entry names none."""
    language_form: str = "{}"
    """The form of a language's token; `{}` is its code."""
    sentence_end: str | None = None
    """The mark that the models write after a sentence in place of a space."""
    prompts: Mapping[str, str] | None = field(default_factory=dict)
    """Prompts by task, for entries without their own; None where each entry needs its own."""
    judge: Judge = "pair"
    """How models of the kind entailment are asked."""
    free_length: bool = False
    """True for models that take the wished length from the prompt, not from a limit of tokens."""
    entry_defaults: Mapping[str, Any] = field(default_factory=dict)
    """Fields of entries that do not have them."""
    num_beams: int | None = NUM_BEAMS
    """The beams of the shipped entries. A user's entry keeps its model's own generation_config."""
    model_types: tuple[str, ...] = ()
    """The `model_type` in config.json, by which a wrong family is told, and which the native engine and the
    converter have to know."""
    decoder: Literal["bart", "t5"] | None = None
    """The native engine's decoder for these model types."""
    float16: bool = False
    """True if its models stay within float16's range, for a GPU that has no bfloat16."""
    ct2_config: Mapping[str, Any] = field(default_factory=dict)
    """Fields that CTranslate2 4.8 reads from configurations and transformers 5 no longer writes."""
    ct2_copies: Mapping[str, str] = field(default_factory=dict)
    """Fields of the configuration that take another's value for CTranslate2, False where there is none."""


_INSTRUCT = {
    "summarize": (
        "Summarize the article below in {sentences} sentences, in {source}. Use only what the article says; "
        "keep names, numbers and dates as they are. Write the summary alone.\n\n{text}"
    ),
    "translate": (
        "Translate the text below from {source} to {target}. Keep names, numbers and the tone. "
        "Write the translation alone.\n\n{text}"
    ),
}

_SERVER_DEFAULTS = {
    "codes": "name",
    "max_source_tokens": 3072,
    "max_new_tokens": 1024,
    "segment": "paragraph",
}
"""Together 4,096 tokens: as many as Ollama reads unless it is told otherwise. It cuts the rest silently."""

_SERVER = ModelFamily(
    kind="server",
    weights="elsewhere",
    input_format="messages",
    prompts=_INSTRUCT,
    free_length=True,
    num_beams=None,
    entry_defaults=_SERVER_DEFAULTS,
)

FAMILIES: Mapping[str, ModelFamily] = {
    "extractive": ModelFamily(kind="extractive", weights="none", tasks=("summarize",), num_beams=None),
    "bart": ModelFamily(
        model_types=("bart",),
        decoder="bart",
        float16=True,
        ct2_config={"normalize_before": False, "normalize_embedding": True},
    ),
    "pegasus": ModelFamily(
        sentence_end="<n>",
        num_beams=8,
        model_types=("pegasus",),
        decoder="bart",
        ct2_config={"normalize_before": True, "normalize_embedding": False},
    ),
    "t5": ModelFamily(
        model_types=("t5", "mt5"),
        decoder="t5",
        # transformers 5 ties the embeddings always; CTranslate2 scales the decoder's output where they are.
        ct2_copies={"tie_word_embeddings": "scale_decoder_outputs"},
    ),
    "longt5": ModelFamily(
        model_types=("longt5",), num_beams=2
    ),  # neither CTranslate2 nor the native engine has them
    "madlad": ModelFamily(
        input_format="target_token", codes="madlad", language_form="<2{}>", model_types=("t5",)
    ),
    "marian": ModelFamily(
        input_format="target_label",
        codes="nllb",  # for its three-letter codes
        model_types=("marian",),
        decoder="bart",
        float16=True,
    ),
    "m2m100": ModelFamily(
        input_format="language_tokens",
        codes="m2m100",
        language_form="__{}__",
        model_types=("m2m_100",),
        decoder="bart",
        float16=True,
    ),
    "nllb": ModelFamily(
        input_format="language_tokens",
        codes="nllb",
        model_types=("m2m_100",),
        decoder="bart",
        float16=True,
    ),
    "mbart50": ModelFamily(
        input_format="language_tokens",
        codes="mbart50",
        model_types=("mbart",),
        decoder="bart",
        float16=True,
        ct2_config={
            "normalize_before": True,
            "normalize_embedding": True,
            "tokenizer_class": "MBart50Tokenizer",
        },
    ),
    "completion": ModelFamily(kind="causal", input_format="completion", prompts=None, num_beams=None),
    "instruct": ModelFamily(
        kind="causal", input_format="chat", prompts=_INSTRUCT, free_length=True, num_beams=None
    ),
    "server": _SERVER,
    "gguf": replace(_SERVER, weights="gguf", entry_defaults=_SERVER_DEFAULTS | {"concurrency": 2}),
    "translategemma": ModelFamily(
        kind="causal",
        tasks=("translate",),
        input_format="chat_by_code",
        codes="translategemma",
        prompts={"translate": "{text}"},
        num_beams=None,
    ),
    "entailment": ModelFamily(kind="entailment", tasks=("entail",), num_beams=None),
    "factcg": ModelFamily(kind="entailment", tasks=("entail",), judge="question", num_beams=None),
    "minicheck": ModelFamily(kind="entailment", tasks=("entail",), judge="support", num_beams=None),
}


def of_model_type(model_type: str) -> ModelFamily | None:
    """Return the first family with models of this `model_type`: its decoder and its conversion fit them."""
    return next((family for family in FAMILIES.values() if model_type in family.model_types), None)
