"""Compares a catalog entry with its model's files, and shows how text is fed to the model.

`require_fit` runs when a model is loaded; `inspect` is the report of `dragoman models check`. Reads
configurations and tokenizers, never weights, and downloads nothing.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal

from models.catalog import ModelEntry
from models.codec import Codec, Purpose, codec_of
from models.engine.protocol import Decoding
from models.entailment import JUDGES
from models.errors import EngineFailed, ModelUnavailable, UnsupportedLanguage
from models.families import FAMILIES, ModelFamily
from models.hf_import import named
from models.languages import Languages
from models.llama_server import require_package
from models.server_model import ServerCodec, conversation, listed
from models.store import Store, sources

MOST_UNKNOWN = 0.15
"""A vocabulary that lacks a larger share of a language's news paragraph was not made for the language."""

NEWS = {
    "en": "“We can’t wait,” said Zoë Müller of the Kraków Institute on Monday – the day when €3.5 million "
    "(£3 million) was promised. The minister’s answer — “not before 2027” — came late… It’s now or never.",
    "de": "„Wir können nicht warten“, sagte Zoë Müller vom Institut in Kraków am Montag – an dem Tag, an dem "
    "3,5 Millionen € zugesagt wurden. Die Antwort des Ministers – „nicht vor 2027“ – kam spät …",
    "es": "«No podemos esperar», dijo Zoë Müller, del Instituto de Cracovia, el lunes —el día en que se "
    "prometieron 3,5 millones de €—. ¿La respuesta del ministro? “No antes de 2027”… ¡Ahora o nunca!",
    "fr": "« Nous ne pouvons pas attendre », a dit Zoë Müller, de l’Institut de Cracovie, lundi – le jour où "
    "3,5 millions d’€ ont été promis. La réponse du ministre – « pas avant 2027 » – est venue tard…",
    "it": "«Non possiamo aspettare», ha detto lunedì Zoë Müller dell’Istituto di Cracovia – il giorno in cui "
    "sono stati promessi 3,5 milioni di €. La risposta del ministro: “non prima del 2027”… È ora o mai più.",
    "pt": "“Não podemos esperar”, disse Zoë Müller, do Instituto de Cracóvia, na segunda-feira – dia em que "
    "foram prometidos € 3,5 milhões. A resposta do ministro — «não antes de 2027» — chegou tarde…",
    "ru": "«Мы не можем ждать», — сказала в понедельник Анна Ковалёва из Краковского института – в день, "
    "когда было обещано 3,5 млн €. Ответ министра: „не раньше 2027 года“… Сейчас или никогда.",
    "uk": "«Ми не можемо чекати», — сказала в понеділок Ганна Ковальчук із Краківського інституту – у день, "
    "коли було обіцяно 3,5 млн €. Відповідь міністра: „не раніше 2027 року“… Об’єднані зараз або ніколи.",
    "zh": "“我们不能再等了，”克拉科夫研究所的王小红星期一说——就在这一天，350万欧元（€3.5 million）的拨款"
    "得到承诺。部长的回答是“不会早于2027年”……《人民日报》作了报道。",
    "ja": "「もう待てない」とクラクフ研究所の田中さくらさんは月曜日に語った――350万ユーロ（€3.5 million）が"
    "約束された日だ。大臣の答えは『2027年より前ではない』だった……。",
    "ar": "قالت ليلى حداد من معهد كراكوف يوم الاثنين: «لا يمكننا الانتظار» – وهو اليوم الذي وُعد فيه بمبلغ "
    "3.5 مليون €. وكان جواب الوزير: “ليس قبل 2027”… الآن أو أبدًا؟",
}
"""A paragraph as news sites write it: typographic quotes and dashes, currencies, names with accents."""

_OFFSET_TYPES = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer")
"""Model types that count positions from the padding's id on, so that as many fewer are left for text."""

_BY_TOKEN = ("language_tokens", "target_token")
"""The feeds whose languages are tokens of the vocabulary."""

_TOKEN_FILES = ("tokenizer", "vocab", "special_tokens", "added_tokens")


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of Decoding and where its value comes from."""

    name: str
    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Fed:
    """One sentence as a model is fed it for a task. `rendered` is a causal model's whole prompt."""

    task: str
    source: str
    target: str | None
    text: str
    pieces: list[tuple[str, int]]
    rendered: str | None = None
    label: str | None = None
    """The piece that tells the model the target language, before the text or first in the output."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What tells the model the languages: the label of each direction, and the languages that lack one."""

    kind: Literal["label", "name"]
    """A token of its own, or the language's name or code in a prompt."""
    total: int
    """How many of the entry's languages are to have one."""
    missing: list[str]
    by_direction: dict[str, str]


@dataclass(frozen=True, slots=True)
class Unknown:
    """What of a news paragraph the vocabulary does not have."""

    pieces: int
    unknown: int
    texts: list[str]


@dataclass(slots=True)
class Inspection:
    """What was found out about one model. It is sound if it has no problems; notes are worth reading."""

    name: str
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    origin: str = ""
    revision: str = ""
    files: dict[str, int] = field(default_factory=dict)
    """Bytes by name."""
    family: str = ""
    kind: str = ""
    model_type: str | None = None
    architectures: list[str] = field(default_factory=list)
    positions: int | None = None
    """None where nothing limits them, or where the configuration does not say."""
    relative_positions: bool = False
    model_max_length: int | None = None
    """The tokenizer's own word, for information: nothing is cut there."""
    max_source_tokens: int = 0
    max_new_tokens: int = 0
    prompt: dict[str, str] = field(default_factory=dict)
    labels: Labels | None = None
    search: dict[str, list[Setting]] = field(default_factory=dict)
    """By task."""
    fed: list[Fed] = field(default_factory=list)
    unknown: dict[str, Unknown] = field(default_factory=dict)
    """By language."""


# --------------------------------------------------------------------------- the entry against the files


def require_fit(entry: ModelEntry, folder: Path, languages: Languages) -> None:
    """Raise ModelUnavailable, naming the entry's key and its right value, if the files are not as it says."""
    if faults := _faults(entry, folder, languages):
        raise ModelUnavailable(f"{entry.name}: {'; '.join(faults)}")


def _faults(entry: ModelEntry, folder: Path, languages: Languages) -> list[str]:
    with named(entry, "configuration", folder):
        config = _json(folder / "config.json")
        # first the family: each kind counts positions in its own way
        wrong = _family_fault(entry, config, folder, languages)
        return [wrong] if wrong else list(_position_faults(entry, config))


def _family_fault(
    entry: ModelEntry, config: Mapping[str, Any], folder: Path, languages: Languages
) -> str | None:
    own, kind = FAMILIES[entry.family], _kind(config)
    runs = "encoder-decoder" if own.judge == "support" else own.kind
    fitting = [name for name, family in FAMILIES.items() if config.get("model_type") in family.model_types]
    labelled = _labelled(fitting, folder, languages)
    right = labelled or [name for name in fitting if FAMILIES[name].input_format not in _BY_TOKEN] or fitting
    says = f'config.json says model_type "{config.get("model_type")}"'
    if kind not in (None, runs):
        names = ", ".join(config.get("architectures") or ()) or kind
        right = right if kind == "encoder-decoder" else _usual_family(kind, folder)
        made_for = "classifiers of pairs" if runs == "entailment" else f"{runs} models"
        return f'family: "{entry.family}" is for {made_for}, but {says} ({names}); {_set(right)}'
    if own.model_types and fitting and entry.family not in fitting:
        return f'family: "{entry.family}", but {says}; {_set(right)}'
    if own.input_format in ("chat", "chat_by_code") and not _has_chat_template(folder):
        return f'family: "{entry.family}", but the files have no chat template; set family = "completion"'
    if labelled and entry.family not in labelled and "translate" not in entry.prompt:
        return f'family: "{entry.family}", but the vocabulary has the labels of another; {_set(labelled)}'
    return None


def _usual_family(kind: str | None, folder: Path) -> list[str]:
    if kind == "causal":
        return ["instruct" if _has_chat_template(folder) else "completion"]
    return ["entailment"] if kind == "entailment" else []


def _set(families: Sequence[str]) -> str:
    told = " or ".join(f'family = "{name}"' for name in families)
    return f"set {told}" if told else "no family has such models"


def _kind(config: Mapping[str, Any]) -> str | None:
    """The kind that a configuration speaks of; None if it cannot be told."""
    names = tuple(config.get("architectures") or ())
    model_type = config.get("model_type")
    if any(name.endswith("ForSequenceClassification") for name in names):
        return "entailment"
    if config.get("is_encoder_decoder") or any(
        model_type in family.model_types for family in FAMILIES.values() if family.kind == "encoder-decoder"
    ):
        return "encoder-decoder"
    if "text_config" in config or any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names):
        return "causal"
    is_encoder = model_type in ("bert", "roberta", "xlm-roberta", "mpnet", "distilbert")
    return "encoder" if is_encoder or any(name.endswith("ForMaskedLM") for name in names) else None


def _labelled(families: Sequence[str], folder: Path, languages: Languages) -> list[str]:
    """Those of several families whose labels for English and French are in the tokenizer's files.

    Where none's are, transformers may have them in its class for the tokenizer.
    """
    if len(families) < 2:
        return []
    written = [path.read_bytes() for path in folder.glob("*.json") if path.name.startswith(_TOKEN_FILES)]

    def has_labels(family: ModelFamily) -> bool:
        codes = languages.column(family.codes or "", ("en", "fr")).values()
        labels = [json.dumps(family.language_form.format(code)).encode() for code in codes]
        return bool(labels) and all(any(label in each for each in written) for label in labels)

    wrote = str(_json(folder / "tokenizer_config.json").get("tokenizer_class", "")).lower()
    named_by_class = (name for name in families if FAMILIES[name].input_format == "language_tokens")
    return [name for name in families if has_labels(FAMILIES[name])] or [
        name for name in named_by_class if wrote.startswith(name)
    ]


def _position_faults(entry: ModelEntry, config: Mapping[str, Any]) -> Iterator[str]:
    most = _positions(config)[0]
    if most is None:
        return
    source, new = entry.max_source_tokens, entry.max_new_tokens
    have = f"the model's {most} positions"
    if entry.kind == "causal":
        room = most - new
        if room < 8:
            yield f"max_new_tokens: {new} leaves no room in {have}; set max_new_tokens = {max(1, most // 2)}"
        elif source > most:
            yield f"max_source_tokens: {source} is more than {have}; set max_source_tokens = {room}"
        elif source > room:
            yield (
                f"max_source_tokens: {source} with max_new_tokens {new} is more than {have}; "
                f"set max_source_tokens = {room}"
            )
    else:
        if source > most:
            yield f"max_source_tokens: {source} is more than {have}; set max_source_tokens = {most}"
        if new > most and entry.kind == "encoder-decoder":
            yield f"max_new_tokens: {new} is more than {have}; set max_new_tokens = {most}"


def _positions(config: Mapping[str, Any]) -> tuple[int | None, bool]:
    """The most positions that a model has, None without a limit; and whether they are relative ones."""
    own = {**config, **(config.get("text_config") or {})}
    if "relative_attention_num_buckets" in own or (
        own.get("relative_attention") and not own.get("position_biased_input", True)
    ):
        return None, True
    most = next((own[key] for key in ("max_position_embeddings", "n_positions") if own.get(key)), None)
    if most is not None and config.get("model_type") in _OFFSET_TYPES:
        most -= own.get("pad_token_id", 1) + 1
    return most, False


def _has_chat_template(folder: Path) -> bool:
    beside = (folder / "chat_template.jinja", folder / "chat_template.json")
    return any(map(Path.is_file, beside)) or "chat_template" in _json(folder / "tokenizer_config.json")


def _json(file: Path) -> dict[str, Any]:
    """The object in the file; an empty one if there is no such file."""
    if not file.is_file():
        return {}
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


# ------------------------------------------------------------------------------------- the whole report


def inspect(
    store: Store,
    entry: ModelEntry,
    languages: Languages,
    secret: Callable[[str], str | None] = lambda _name: None,
) -> Inspection:
    """Everything that can be found out about a model that is here, without loading its weights.

    Of one behind a server: whether the server answers and has it. `secret` has the server's key.
    """
    found = Inspection(
        entry.name,
        family=entry.family,
        kind=entry.kind,
        max_source_tokens=entry.max_source_tokens,
        max_new_tokens=entry.max_new_tokens,
        prompt={task: entry.prompt[task] for task in entry.tasks if task in entry.prompt},
    )
    if entry.weights == "elsewhere":
        _tell_server(found, entry, ServerCodec(entry, languages), secret)
        return found
    if entry.weights == "none":
        found.notes.append("it needs no files")
        return found
    if entry.path is None and store.state(entry) == "not pulled":
        found.problems.append(f"it is not here; `dragoman models pull {entry.name}` fetches it")
        return found
    unsound = store.check(entry)
    found.problems += unsound
    if entry.weights == "gguf":
        if not unsound:
            _tell_gguf(
                found, store.gguf_file(entry), store.revision(entry), entry, ServerCodec(entry, languages)
            )
        return found
    try:
        folder = store.found(entry)
        found.origin, found.revision = _origin(entry), store.revision(entry)
        found.files = _files(entry, folder)
        if folder is None:
            found.notes.append(
                "it is put together when it is first used, or by "
                f"`dragoman models pull {entry.name}`; after that its files can be compared"
            )
            return found
        with named(entry, "configuration", folder):
            _describe(found, folder)
        found.problems += (faults := _faults(entry, folder, languages))
        if any(fault.startswith("family:") for fault in faults):
            return found  # fed as another family's, all else would be wrong too
        if entry.kind == "entailment":
            _tell_judge(found, entry, store.tokenizer(entry), folder)
        else:
            tokenizer, config = store.plain_tokenizer(entry), store.generation_config(entry)
            _Feeding(found, codec_of(entry, tokenizer, config, languages), folder, languages).tell()
    except ModelUnavailable as error:
        if not unsound:
            found.problems.append(error.without(entry.name))
    return found


def _tell_server(
    found: Inspection, entry: ModelEntry, codec: ServerCodec, secret: Callable[[str], str | None]
) -> None:
    found.origin, found.revision = str(entry.url), str(entry.model)
    _tell_messages(found, entry, codec)
    key = None if entry.api_key_env is None else secret(entry.api_key_env)
    if entry.api_key_env is not None and not key:
        found.problems.append(f"api_key_env: the variable {entry.api_key_env} is not set")
        return
    try:
        models = listed(entry, key)
    except EngineFailed as error:
        found.problems.append(f"url: {error.message}")
        return
    if entry.model not in models:
        found.problems.append(
            f"model: {entry.model} is not at {entry.url}; it has {', '.join(models) or 'none'}"
        )
        return
    found.positions = models[str(entry.model)]
    _compare_context(found, entry, "the server's")


def _tell_gguf(found: Inspection, file: Path, revision: str, entry: ModelEntry, codec: ServerCodec) -> None:
    found.origin, found.revision = str(file), revision
    found.files = {file.name: file.stat().st_size}
    _tell_messages(found, entry, codec)
    from models.gguf import metadata  # its import takes a tenth of a second, which every start would pay

    facts = metadata(file)
    found.model_type = str(facts.get("general.architecture"))
    context = facts.get(f"{found.model_type}.context_length")
    found.positions = context if isinstance(context, int) else None
    _compare_context(found, entry, "the model's")
    if entry.chat_template is None and "tokenizer.chat_template" not in facts:
        found.problems.append(
            'chat_template: the file has none; name one of llama.cpp\'s, such as chat_template = "chatml"'
        )
    try:
        require_package(entry.name)
    except ModelUnavailable as error:
        found.problems.append(error.without(entry.name))


def _tell_messages(found: Inspection, entry: ModelEntry, codec: ServerCodec) -> None:
    languages = entry.languages
    source = "en" if "en" in languages else languages[0]
    for task in entry.tasks:
        target = next((each for each in ("fr", *languages) if each in languages and each != source), source)
        purpose = Purpose(task, source, target if task == "translate" else None)
        messages, _, _ = conversation(codec.encode(_sentence(source), purpose))
        rendered = json.dumps(messages, ensure_ascii=False)
        found.fed.append(Fed(task, source, purpose.target, _sentence(source), [], rendered=rendered))


def _compare_context(found: Inspection, entry: ModelEntry, whose: str) -> None:
    room = None if found.positions is None else found.positions - entry.max_new_tokens
    if room is not None and entry.max_source_tokens > room:
        found.problems.append(
            f"max_source_tokens: {entry.max_source_tokens} and max_new_tokens {entry.max_new_tokens} are "
            f"more than {whose} context of {found.positions}; set max_source_tokens = {max(0, room)}"
        )


def _origin(entry: ModelEntry) -> str:
    if entry.path is not None:
        return str(entry.path)
    if entry.package is not None:
        return f"the package {entry.package.module}"
    return f"the hub's {entry.repository or entry.name}"


def _files(entry: ModelEntry, folder: Path | None) -> dict[str, int]:
    if folder is not None:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
    else:
        held = sources(entry.package).values() if entry.package is not None else ()
        paths = [part for parts in held for part in parts if part.is_file()]
    return {path.name: path.stat().st_size for path in paths}


def _describe(found: Inspection, folder: Path) -> None:
    config, tokens = _json(folder / "config.json"), _json(folder / "tokenizer_config.json")
    found.model_type = config.get("model_type")
    found.architectures = list(config.get("architectures") or ())
    found.positions, found.relative_positions = _positions(config)
    most = tokens.get("model_max_length")
    found.model_max_length = most if isinstance(most, int) and most < 10**9 else None  # 1e30 means no limit
    known = FAMILIES[found.family].model_types
    if known and found.model_type and not any(found.model_type in f.model_types for f in FAMILIES.values()):
        found.notes.append(
            f"no family was made for model_type {found.model_type!r}; it is fed as {found.family} is, "
            "and transformers' generate runs it"
        )


class _Feeding:
    """How a writing model is fed: labels, search settings, pieces, and what its vocabulary lacks."""

    def __init__(self, found: Inspection, codec: Codec, folder: Path, languages: Languages):
        self.found, self.codec, self.languages = found, codec, languages
        self.entry, self.tokenizer = codec.entry, codec.tokenizer
        self.family = FAMILIES[self.entry.family]
        self.config = _json(folder / "config.json")
        self.generation = _json(folder / "generation_config.json")
        self.pieces = _Pieces(self.tokenizer)

    def tell(self) -> None:
        for purpose in self._purposes():
            if purpose.task in self.found.search:
                continue
            with suppress(UnsupportedLanguage):  # of a language without a label, which is told below
                fed, search = self._fed(purpose), self._settings(purpose)
                self.found.fed.append(fed)
                self.found.search[purpose.task] = search
                self._tell_prompt(purpose)
        if "translate" in self.entry.tasks:
            self._tell_labels()
        self._tell_unknown()

    def _purposes(self) -> Iterator[Purpose]:
        """What to try of each task: English if there is, else the entry's first language; each direction."""
        has = self.entry.languages
        first = "en" if "en" in has or not has else has[0]
        for task in self.entry.tasks:
            if task != "translate":
                yield Purpose(task, first)
                continue
            for source, target in self._directions() or [(first, "fr" if first == "en" else "en")]:
                yield Purpose(task, source, target)

    def _directions(self) -> list[tuple[str, str]]:
        """For each language the entry has one direction into it; or the entry's own pairs."""
        if self.entry.pairs:
            return list(self.entry.pairs)
        has = self.entry.languages
        if self.entry.english_only:
            others = [each for each in has if each != "en"]
            return [("en", each) for each in others] + [(each, "en") for each in others[:1]]
        first = "en" if "en" in has else has[0] if has else ""
        second = next((each for each in ("fr", *has) if each != first and each in has), "")
        rest = [(first, each) for each in has if each not in (first, second)]
        return [(first, second), (second, first), *rest] if second else []

    def _fed(self, purpose: Purpose) -> Fed:
        text = _sentence(purpose.source)
        ids = self.codec.encode(text, purpose)
        rendered = None
        if self.entry.kind == "causal":
            rendered = str(self.tokenizer.decode(list(ids), skip_special_tokens=False))
        pieces, label = self.pieces.of(ids), self._label(ids, purpose)
        return Fed(purpose.task, purpose.source, purpose.target, text, pieces, rendered, label)

    def _label(self, ids: Sequence[int], purpose: Purpose) -> str | None:
        if purpose.target is None:
            return None
        if self.family.input_format == "language_tokens":
            forced = self.codec.decoding(purpose, max_new_tokens=1).forced_bos_token_id
            return None if forced is None else self.pieces.one(forced)
        first = self.pieces.one(ids[0])
        if self.family.input_format == "target_token" or (first.startswith(">>") and first.endswith("<<")):
            return first
        return None

    # ------------------------------------------------------------------ what each direction needs

    def _tell_labels(self) -> None:
        has_labels = self.family.input_format in (*_BY_TOKEN, "target_label")
        codes = self.entry.codes or self.family.codes
        directions, missing, found = self._directions(), list[str](), dict[str, str]()
        taken = []
        for source, target in directions:
            purpose = Purpose("translate", source, target)
            try:
                if label := self._label(self.codec.encode("", purpose), purpose):
                    found[f"{source}-{target}"] = label
                taken.append(f"{source}-{target}")
            except UnsupportedLanguage as error:
                missing.append(source if error.field == "source" else target)
        if not has_labels and codes:  # they stand in the prompt, a language without one as its code
            names = self.languages.column(codes, self.entry.languages)
            missing += [code for code in self.entry.languages if code not in names]
        lacking = list(dict.fromkeys(missing))
        if lacking and not has_labels and not codes:  # prompts of config.json, which has some directions
            key = "pairs" if self.entry.pairs else "languages"
            self.found.problems.append(
                f"{key}: config.json has prompts for some directions only; set pairs = {json.dumps(taken)}"
            )
            return
        if not (found or lacking or (codes and not has_labels)):
            return  # a model with one target wants no label, and not every prompt names languages
        has = {target for _, target in directions} if has_labels else set(self.entry.languages)
        kind: Literal["label", "name"] = "label" if has_labels else "name"
        self.found.labels = Labels(kind, len(has), lacking, found)
        if not lacking:
            return
        key = "pairs" if self.entry.pairs else "languages"
        if self.family.input_format == "target_label" and key == "languages":
            self.found.notes.append(
                f"no label for {', '.join(lacking)}: no targets; `pairs` says which directions it has"
            )
            return
        lack = "label" if has_labels else f"name in the column {codes!r}"
        them = "it" if len(lacking) == 1 else "them"
        self.found.problems.append(
            f"{key}: the model has no {lack} for {', '.join(lacking)}; take {them} out of {key}"
        )

    def _tell_prompt(self, purpose: Purpose) -> None:
        """Tell of config.json's prefix for the task, which is fed where the entry has no prompt."""
        if self.family.input_format != "text" or purpose.task in self.entry.prompt:
            return
        prefix = self._task_params(purpose).get("prefix")
        where = "prefix" if prefix is None else f"task_specific_params.{self._task_name(purpose)}"
        prefix = self.config.get("prefix") if prefix is None else prefix
        if prefix is not None:
            self.found.prompt[purpose.task] = prefix + "{text}"
            self.found.notes.append(f"the prompt to {purpose.task} is config.json's ({where})")
        elif self.found.model_type == "t5":  # others, such as mT5, were trained without prompts
            self.found.notes.append(
                f"no prompt to {purpose.task}, and config.json has no prefix for it: the bare text is fed; "
                'a model of several tasks wants one, such as prompt = { summarize = "summarize: {text}" }'
            )

    def _task_name(self, purpose: Purpose) -> str:
        """The name of a purpose in task_specific_params."""
        if purpose.task == "translate":
            return f"translation_{purpose.source}_to_{purpose.target}"
        return "summarization"

    def _task_params(self, purpose: Purpose) -> Mapping[str, Any]:
        found: Mapping[str, Any] = (self.config.get("task_specific_params") or {}).get(
            self._task_name(purpose), {}
        )
        return found

    # ------------------------------------------------------------------ settings, and what is unknown

    def _settings(self, purpose: Purpose) -> list[Setting]:
        """The search that requests get, each field that is not the plain default's with where it is from."""
        decoding = self.codec.decoding(purpose, max_new_tokens=self.entry.max_new_tokens)
        defaults = {each.name: each.default for each in fields(Decoding)}
        told = []
        for name, default in defaults.items():
            value = getattr(decoding, name)
            if name == "num_beams" or (value != default and name != "max_new_tokens"):
                source = self._origin(name, value, purpose)
                told.append(Setting(name, value, source or "the default"))
        return told

    def _origin(self, name: str, value: Any, purpose: Purpose) -> str:
        if name == "forced_bos_token_id" and self.family.input_format == "language_tokens":
            return "the target language"
        if name == "stop_token_ids" and self.entry.stop:
            return "the catalog (stop)"
        if name in self.entry.decoding:
            return "the catalog (decoding)"
        own = f"config.json (task_specific_params.{self._task_name(purpose)})"
        files = {
            "generation_config.json": self.generation,
            "config.json": self.config,
            own: self._task_params(purpose),
        }
        keys = {
            "suppressed_token_ids": ("bad_words_ids", "suppress_tokens"),
            "stop_token_ids": ("eos_token_id",),
        }.get(name, (name,))
        derived = name in ("suppressed_token_ids", "stop_token_ids")
        for file, facts in files.items():
            for key in keys:
                have = facts.get(key)
                if have is not None and (derived or value in (have, [have]) or [value] == have):
                    return file if key == name else f"{file} ({key})"
        if name == "forced_bos_token_id" and self.config.get("force_bos_token_to_be_generated"):
            return "config.json (force_bos_token_to_be_generated)"
        return ""

    def _tell_unknown(self) -> None:
        task, has, pairs = self.entry.tasks[0], self.entry.languages, self.entry.pairs
        for language in _paragraphs([source for source, _ in pairs] or has):
            others = [target for source, target in pairs if source == language] or ["en", *(has or ["fr"])]
            for target in others if task == "translate" else [None]:
                purpose = Purpose(task, language, target)
                with suppress(UnsupportedLanguage):  # it has no label, which is told above
                    if target != language:
                        _tell_unknown(
                            self.found, self.entry, language, self.tokenizer, partial(self._encode, purpose)
                        )
                        break

    def _encode(self, purpose: Purpose, text: str) -> Sequence[int]:
        return self.codec.encode(text, purpose)


class _Pieces:
    """Pieces by their ids."""

    def __init__(self, tokenizer: Any):
        self._tokens = {number: token for token, number in tokenizer.get_vocab().items()}
        self._decode = tokenizer.decode

    def one(self, number: int) -> str:
        return str(self._tokens.get(number) or self._decode([number]))

    def of(self, ids: Sequence[int]) -> list[tuple[str, int]]:
        return [(self.one(number), number) for number in ids]


def _tell_judge(found: Inspection, entry: ModelEntry, tokenizer: Any, folder: Path) -> None:
    judge = JUDGES[FAMILIES[entry.family].judge]
    labels = _json(folder / "config.json").get("id2label") or {0: "LABEL_0", 1: "LABEL_1"}
    judge.label_of({int(number): str(name) for number, name in labels.items()})
    premise, hypothesis = _sentence("en"), "They cannot wait."
    pieces = _Pieces(tokenizer).of(judge.feed(tokenizer, premise, hypothesis))
    found.fed.append(Fed("entail", "en", None, f"{premise} | {hypothesis}", pieces))
    for each in _paragraphs(entry.languages):
        _tell_unknown(found, entry, each, tokenizer, lambda text: judge.feed(tokenizer, text, hypothesis))


def _sentence(language: str) -> str:
    """The first sentence of the language's paragraph, or of the English one."""
    return re.split(r"(?<=[.。])\s*(?=\D)", NEWS.get(language, NEWS["en"]), maxsplit=1)[0]


def _paragraphs(languages: Sequence[str]) -> list[str]:
    """Those of the languages that there is a paragraph in; English where none are named."""
    return [language for language in NEWS if language in languages] if languages else ["en"]


def _tell_unknown(
    found: Inspection,
    entry: ModelEntry,
    language: str,
    tokenizer: Any,
    feed: Callable[[str], Sequence[int]],
) -> None:
    """Count what of the language's paragraph becomes the unknown piece, and find what it is."""
    unk, text = tokenizer.unk_token_id, NEWS[language]
    pieces, around = list(feed(text)), list(feed(""))
    number = len(pieces) - len(around)
    unknown = 0 if unk is None else pieces.count(unk) - around.count(unk)
    letters = dict.fromkeys("".join(text.split())) if unknown else ()
    texts = [each for each in letters if list(feed(each)).count(unk) > around.count(unk)]
    found.unknown[language] = Unknown(number, unknown, texts)
    if unknown > MOST_UNKNOWN * number:
        key = next((key for key in ("pairs", "languages") if getattr(entry, key)), None)
        advice = f"take {language} out of {key}" if key else "set languages = those that the model reads"
        if key == "languages" and "translate" in entry.tasks:
            advice += ", or set pairs = the directions that it has"
        found.problems.append(
            f"{key or 'languages'}: {unknown} of {number} pieces of a news paragraph in {language} are "
            f"unknown to the vocabulary; {advice}"
        )
