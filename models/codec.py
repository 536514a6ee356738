"""Codecs: text to a model's token ids and back, one class per input format.

A codec knows one model's tokenizer, prompts and language codes, but no engine. Codecs are stateless, so
threads may share them.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jinja2 import TemplateError

from models.catalog import ModelEntry, Task
from models.engine.protocol import Decoding
from models.errors import InvalidInput, ModelUnavailable, UnsupportedLanguage
from models.families import FAMILIES, InputFormat
from models.languages import Languages
from models.text.punctuation import normalized, spelled


@dataclass(frozen=True, slots=True)
class Purpose:
    """The purpose of an encoding. Languages are users' codes; `sentences` is asked of instruct models."""

    task: Task
    source: str
    target: str | None = None
    sentences: int | None = None
    facts: tuple[tuple[str, str], ...] = ()
    """Words of the source, each with the form to write for it; for a model that can be told."""
    region: str | None = None
    """The region whose form of the target language is wanted, such as `BR`."""


class Codec:
    """An encoder-decoder that reads the text, behind a prompt if the catalog has one: BART, Pegasus, T5."""

    def __init__(self, entry: ModelEntry, tokenizer: Any, generation_config: Any, languages: Languages):
        self.entry = entry
        self.tokenizer = tokenizer
        self._family = FAMILIES[entry.family]
        self._base = base_decoding(entry, generation_config)
        self._prefix: str = getattr(generation_config, "prefix", None) or ""
        self._by_task: Mapping[str, Any] = getattr(generation_config, "task_specific_params", None) or {}
        codes = entry.codes or self._family.codes
        self._own_codes = languages.column(codes, entry.languages) if codes else {}
        self._names = languages.column("name")
        special = sorted(set(tokenizer.all_special_tokens), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, special)) or r"(?!)")  # or what never matches
        self._languages = languages
        self._cleans = self._family.input_format == "text" and entry.languages == ("en",)

    def encode(self, text: str, purpose: Purpose) -> tuple[int, ...]:
        """The ids of the model's whole input. A special token written in the text becomes mere text."""
        return self._ids(self._prompt(self._plain(text), purpose))

    def decoding(self, purpose: Purpose, *, max_new_tokens: int, min_new_tokens: int = 0) -> Decoding:
        """The model's own way of searching, the catalog's changes, and these limits."""
        most = min(max_new_tokens, self.entry.max_new_tokens)
        limits = {"max_new_tokens": most, "min_new_tokens": min(min_new_tokens, most)}
        own = {
            name: value
            for name, value in self._own_params(purpose).items()
            if name not in self.entry.decoding
        }
        return Decoding(**{**self._base, **own, **limits, **self._forced(purpose)})

    def decode(self, ids: tuple[int, ...]) -> str:
        """The text of an output, on one line but for instruct models' paragraphs."""
        text = self._line(ids)
        return _TOKENIZED.sub("", text) if self._cleans else text

    def decode_begun(self, ids: tuple[int, ...]) -> str:
        """The text of an output that is still being written, but for an end that more tokens may change."""
        text = self._line(ids)
        # a space stands in for the end, which begins with one: what stands before a space is read as such
        return _TOKENIZED.sub("", _UNSETTLED.sub(" ", text)).rstrip() if self._cleans else self.decode(ids)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text of each token, with its space; one that is part of a character has none of its own."""
        return [
            self.tokenizer.decode([each], skip_special_tokens=True, clean_up_tokenization_spaces=False)
            for each in ids
        ]

    def has_region(self, purpose: Purpose) -> bool:
        """Return whether the model is told the region of the target language."""
        return False

    def _line(self, ids: tuple[int, ...]) -> str:
        text: str = self.tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return " ".join(text.replace(self._family.sentence_end or " ", " ").split())

    def _plain(self, text: str) -> str:
        """The text with a space put into what the tokenizer would take for a special token."""
        return self._special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)

    def _ids(self, text: str, before: str = "", *, special: bool = True) -> tuple[int, ...]:
        """The ids of a text behind what stands before it. What would be unknown is read in another form."""
        ids = tuple(self.tokenizer(before + text, add_special_tokens=special, verbose=False).input_ids)
        unknown = self.tokenizer.unk_token_id
        if unknown is not None and unknown in ids and (other := spelled(text, self._vocabulary)) != text:
            text = self._plain(other)
            again = tuple(self.tokenizer(before + text, add_special_tokens=special, verbose=False).input_ids)
            return min(ids, again, key=lambda each: each.count(unknown))
        return ids

    @functools.cached_property
    def _vocabulary(self) -> Mapping[str, int]:
        return dict(self.tokenizer.get_vocab())

    def _prompt(self, text: str, purpose: Purpose) -> str:
        template = self.entry.prompt.get(purpose.task)
        if template is None:
            return str(self._own_task(purpose).get("prefix", self._prefix)) + text
        return self._fill(template, purpose).replace("{text}", text)

    def _own_task(self, purpose: Purpose) -> Mapping[str, Any]:
        """Return what the model's own files say of the task: T5's prefix, and how to search.

        Raises UnsupportedLanguage for a translation that they lack, if they name translations.
        """
        if purpose.task == "summarize":
            return self._by_task.get("summarization") or {}
        own = {pair: task for pair, task in self._by_task.items() if pair.startswith("translation_")}
        if (found := own.get(f"translation_{purpose.source}_to_{purpose.target}")) is None and own:
            starts = [p.split("_to_")[1] for p in own if p.startswith(f"translation_{purpose.source}_to_")]
            raise UnsupportedLanguage(
                f"{self.entry.name} has no prefix to translate from {purpose.source} to {purpose.target}; "
                "a `prompt` in its catalog entry can give one",
                field="target" if starts else "source",
                allowed=starts or sorted({pair.split("_")[1] for pair in own}),
            )
        return found or {}

    def _own_params(self, purpose: Purpose) -> dict[str, Any]:
        """Return how the model's own files have the task searched; an entry's prompt is a task of its own."""
        if purpose.task in self.entry.prompt:
            return {}
        task = self._own_task(purpose)
        return {name: task[name] for name in _SEARCH if task.get(name) is not None}

    def _fill(self, template: str, purpose: Purpose) -> str:
        source = self._own_codes.get(purpose.source, purpose.source)
        target = self._own_codes.get(purpose.target or "", purpose.target or "")
        if self.has_region(purpose):
            target = f"{target} ({purpose.region})"
        filled = template.replace("{source}", source).replace("{target}", target)
        for side, code in (("source", purpose.source), ("target", purpose.target or "")):
            filled = filled.replace(f"{{{side}_name}}", self._names.get(code, code))
        number = purpose.sentences or 3
        if number == 1:
            filled = filled.replace("{sentences} sentences", "one sentence")
        return filled.replace("{sentences}", str(number))

    def _forced(self, purpose: Purpose) -> Mapping[str, Any]:
        """Return the purpose's changes of the decoding."""
        return {}


class MarianCodec(Codec):
    """Marian: models for several targets want `>>fra<<` before the text.

    Its punctuation is normalized, as it was for their training; a vocabulary with curly quotation marks was
    learned from texts as they are. What a vocabulary lacks is fed in another form, rather than as `<unk>`.
    """

    def __init__(self, entry: ModelEntry, tokenizer: Any, generation_config: Any, languages: Languages):
        super().__init__(entry, tokenizer, generation_config, languages)
        self._marks = [t for t in self._vocabulary if t.startswith(">>") and t.endswith("<<")]
        self._normalizes = not {"“", "”"} <= self._vocabulary.keys()

    def encode(self, text: str, purpose: Purpose) -> tuple[int, ...]:
        mark = self._mark(purpose)
        text = normalized(text, purpose.source) if self._normalizes else text
        return self._ids(self._plain(text), f"{mark} " if mark else "")

    def has_region(self, purpose: Purpose) -> bool:
        regional, _ = self._languages.labels(purpose.target or "", purpose.region)
        return any(f">>{label}<<" in self._marks for label in regional)

    def _plain(self, text: str) -> str:
        return super()._plain(text).replace(">>", "> >")  # else a mark in the text would choose the target

    def _mark(self, purpose: Purpose) -> str | None:
        """Return the target's label; None for models of one target. Raises UnsupportedLanguage."""
        if not self._marks:
            return None
        target = purpose.target or ""
        found = self._label(target, purpose.region)
        if found is None and len(self._marks) > 1:
            raise UnsupportedLanguage(
                f"{self.entry.name} does not translate into {target!r}",
                field="target",
                allowed=[code for code in self._languages.names() if self._label(code)],
            )
        return found

    def _label(self, target: str, region: str | None = None) -> str | None:
        regional, own = self._languages.labels(target, region)
        marks = (f">>{label}<<" for label in (*regional, *own))
        return next((mark for mark in marks if mark in self._marks), None)


class TargetTokenCodec(Codec):
    """MADLAD: the target's language token first; the model reads any of its languages."""

    def encode(self, text: str, purpose: Purpose) -> tuple[int, ...]:
        return self._framed(self._token(purpose.target or "", "target"), text)

    def _framed(self, token: int, text: str) -> tuple[int, ...]:
        return (token, *self._ids(self._plain(text), special=False), self.tokenizer.eos_token_id)

    def _plain(self, text: str) -> str:
        return super()._plain(text).replace("<2", "< 2")  # else a token in the text would choose the target

    def _token(self, language: str, field: str) -> int:
        code = self._own_codes.get(language)
        token = self._family.language_form.format(code)
        found = None if code is None else self.tokenizer.convert_tokens_to_ids(token)
        if found is None or found == self.tokenizer.unk_token_id:
            raise UnsupportedLanguage(
                f"{self.entry.name} has no {language!r}", field=field, allowed=sorted(self._own_codes)
            )
        return int(found)


class LanguageTokenCodec(TargetTokenCodec):
    """M2M100, NLLB, mBART-50: the source's language token first, the target's forced on the decoder."""

    def encode(self, text: str, purpose: Purpose) -> tuple[int, ...]:
        return self._framed(self._token(purpose.source, "source"), text)

    def _forced(self, purpose: Purpose) -> Mapping[str, Any]:
        return {"forced_bos_token_id": self._token(purpose.target or purpose.source, "target")}


class CompletionCodec(Codec):
    """A causal model that goes on from a prompt on lines of its own; the catalog's `stop` ends its answer."""

    def encode(self, text: str, purpose: Purpose) -> tuple[int, ...]:
        return self._ids(self._prompt(self._plain(" ".join(text.split())), purpose))

    def _forced(self, purpose: Purpose) -> Mapping[str, Any]:
        stops = tuple(self.tokenizer.convert_tokens_to_ids(token) for token in self.entry.stop)
        if None in stops or (
            self.tokenizer.unk_token_id is not None and self.tokenizer.unk_token_id in stops
        ):
            raise ModelUnavailable(f"{self.entry.name}: not all of its stop tokens are in its vocabulary")
        return {"stop_token_ids": stops} if stops else {}


class InstructCodec(CompletionCodec):
    """A causal model with a chat template; the text stands inside the catalog's prompt."""

    def encode(self, text: str, purpose: Purpose) -> tuple[int, ...]:
        before, _, after = self._rendered(purpose).partition("{text}")
        return (*self._raw(before), *self._raw(self._plain(text)), *self._raw(after))

    def encode_messages(self, messages: Sequence[tuple[str, str]]) -> tuple[int, ...]:
        """The ids of a conversation, of roles and contents. Raises InvalidInput for one of another form."""
        own = [{"role": role, "content": self._plain(content)} for role, content in messages]
        try:
            return tuple(self._raw(self._in_template(own)))
        except TemplateError as error:
            raise InvalidInput(
                f"{self.entry.name} cannot take these messages: {error}", field="messages"
            ) from None

    def decode(self, ids: tuple[int, ...]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    def _raw(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids
        return ids

    def _rendered(self, purpose: Purpose) -> str:
        return self._in_template([{"role": "user", "content": self._content(purpose)}])

    def _in_template(self, messages: list[dict[str, Any]]) -> str:
        rendered: str = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return rendered

    def _content(self, purpose: Purpose) -> Any:
        """Return what the user says, with {text} where the text goes."""
        for language in (purpose.source, purpose.target or ""):
            if purpose.task == "translate" and (own := self.entry.prompt_in.get(language.split("-")[0])):
                name = self._languages.name_in(purpose.target or "", language)
                own = own.replace("{target}", f"{name} ({purpose.region})" if purpose.region else name)
                return with_facts(own, purpose.facts)
        return with_facts(self._fill(self.entry.prompt.get(purpose.task, "{text}"), purpose), purpose.facts)

    def has_region(self, purpose: Purpose) -> bool:
        return purpose.region is not None and "{target}" in self.entry.prompt.get(purpose.task, "")


class CodedChatCodec(InstructCodec):
    """TranslateGemma: its chat template writes the prompt itself, from the codes of the two languages."""

    def _rendered(self, purpose: Purpose) -> str:
        try:
            return super()._rendered(purpose)
        except TemplateError as error:  # it knows the languages better than the catalog
            if purpose.region is not None:
                return self._rendered(replace(purpose, region=None))
            raise UnsupportedLanguage(
                f"{self.entry.name} does not translate from {purpose.source} to {purpose.target}",
                field="target",
            ) from error

    def _content(self, purpose: Purpose) -> Any:
        source, target = (self._own_codes.get(code or "", code) for code in (purpose.source, purpose.target))
        target = f"{target}-{purpose.region}" if purpose.region else target
        return [{"type": "text", "source_lang_code": source, "target_lang_code": target, "text": "{text}"}]

    def has_region(self, purpose: Purpose) -> bool:
        try:
            return super()._rendered(purpose) != self._rendered(replace(purpose, region=None))
        except TemplateError:
            return False


def with_facts(prompt: str, facts: Sequence[tuple[str, str]]) -> str:
    """Return a prompt to translate that says, before the text, how certain words are to be written."""
    if not facts:
        return prompt
    told = ", ".join(f"“{source}” as “{target}”" for source, target in facts)
    before, _, after = prompt.partition("{text}")
    return f"{before.rstrip()} Write {told}.\n\n{{text}}{after}"


CODECS: Mapping[InputFormat, type[Codec]] = {
    "text": Codec,
    "target_label": MarianCodec,
    "target_token": TargetTokenCodec,
    "language_tokens": LanguageTokenCodec,
    "completion": CompletionCodec,
    "chat": InstructCodec,
    "chat_by_code": CodedChatCodec,
}


def codec_of(entry: ModelEntry, tokenizer: Any, generation_config: Any, languages: Languages) -> Codec:
    """Return the codec of the entry's family."""
    return CODECS[FAMILIES[entry.family].input_format](entry, tokenizer, generation_config, languages)


_SEARCH = (
    "num_beams",
    "length_penalty",
    "early_stopping",
    "no_repeat_ngram_size",
    "repetition_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "renormalize_logits",
)
"""Fields of a generation configuration that engines know by the same name."""

_TOKENIZED = re.compile(r" (?=[.,?!](?![\w.])|\.\.|(?:n't|'(?:s|m|ve|re|ll|d))\b)|(?<=s) (?=' )")
"""The spaces that are too many in English that a model learned to write in tokens, as CNN's highlights are.

Those that transformers' clean_up_tokenization takes out, but for numbers such as `.5`; and `'` between spaces
is an apostrophe behind an `s` only.
"""

_UNSETTLED = re.compile(r" (?:[.,?!]+|n(?:'t?)?|'\w{0,2})$")
"""The end of a text that more tokens may yet join to the word before it, or not."""


def base_decoding(entry: ModelEntry, config: Any) -> dict[str, Any]:
    """Return the model's generation_config as far as engines know it, under the catalog's `decoding`."""
    base = {name: value for name in _SEARCH if (value := getattr(config, name, None)) is not None}
    if isinstance(base.get("forced_eos_token_id"), list):
        base["forced_eos_token_id"] = base["forced_eos_token_id"][0]
    words = getattr(config, "bad_words_ids", None) or []
    suppressed = [ids[0] for ids in words if len(ids) == 1] + list(
        getattr(config, "suppress_tokens", None) or []
    )
    eos = getattr(config, "eos_token_id", None)
    return {
        **base,
        "suppressed_token_ids": tuple(sorted(set(suppressed))),
        "stop_token_ids": tuple(eos) if isinstance(eos, list) else () if eos is None else (eos,),
        **entry.decoding,
    }
