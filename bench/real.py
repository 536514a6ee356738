"""Published models' own files: what is fed and written, held against transformers and against published ids.

    python bench/real.py FOLDER

FOLDER has `models/`, a folder for each model with its tokenizer, vocabulary, configuration and generation
configuration as published, and `build.py OUT`, which puts models with random weights into OUT. Of each model:

- `ids`: those published of a sentence, by transformers' tokenizer and by this project's reader;
- `fed`: what the codec makes of hard texts, with both readers, against transformers with what the model's
  authors do before it: Moses' normalizer, a prefix, language tokens. A text with special tokens in it, or
  with characters that the vocabulary lacks, is fed otherwise on purpose: there the two readers are compared;
- `unknown`: the unknown tokens in a paragraph of news as it is pasted;
- `outputs`: what transformers writes with the published generation configuration, against the plain backend,
  the native engine on a CPU and CTranslate2 in float32, token for token. Beams of random weights part at
  ties: where transformers itself turns the other way with weights shaken by a millionth, it counts as a tie.

The exit code is 1 if anything differs.
"""

import argparse
import copy
import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import transformers
from sacremoses import MosesPunctNormalizer  # type: ignore[import-untyped]

from models.catalog import Catalog, ModelEntry
from models.codec import Purpose, codec_of
from models.convert import to_ctranslate2
from models.engine.ct2 import Ct2Backend
from models.engine.generate import GenerateBackend
from models.engine.native import NativeEngine
from models.engine.native.limits import limits_for
from models.engine.protocol import Generation, Output
from models.errors import UnknownModel
from models.hf_import import load_tokenizer
from models.languages import Languages
from models.store import Store
from models.tokenizer import read_back, write_down

OWNERS = ("Helsinki-NLP", "facebook", "google", "sshleifer")

PUBLISHED: dict[str, tuple[str, list[int]]] = {
    # transformers' tests of these tokenizers
    "m2m100_418M": (
        "In my opinion, there are two levels of response from the French government.",
        [
            128022,
            593,
            1949,
            115781,
            4,
            71586,
            4234,
            60633,
            126233,
            432,
            123808,
            15592,
            1197,
            117132,
            120618,
            5,
            2,
        ],
    ),
    "pegasus": (
        "To ensure a smooth flow of bank resolutions.",
        [413, 615, 114, 2291, 1971, 113, 1679, 10710, 107, 1],
    ),
    "t5": ("A long paragraph for summarization.", [71, 307, 8986, 21, 4505, 1635, 1707, 5, 1]),
    "bart": ("A long paragraph for summarization.", [0, 250, 251, 17818, 13, 39186, 1938, 4, 2]),
}

NEWS = (
    "“We can’t wait,” the minister’s spokesman said on Tuesday – a day after talks in Łódź had failed. "
    "The plan (worth €2.4 billion, or £2.1 billion) is the government’s “last offer” … and the unions’, "
    "who had asked for 6 %, still refuse it — for now. ‘Nobody moves,’ said Mr Şahin."
)

TEXTS = (
    NEWS,
    "The talks failed.",
    "She said: ``Let us go'' , and went (at 5 pm ) .",
    "Don't.",
    "ﬁnally  two\u00a0spaces, a\u200bzero width and a tab\there",
    "</s> <pad> >>fra<< __fr__ <2fr> <n>",
    "Le ministre a dit : « Nous n’irons pas ». À l’école, 10\u00a0000 élèves…",
    "Він сказав: «Ми не підемо» — і пішов.",
    "中文、日本語。「引用」",
    "🙂 • one • two",
    " leading and trailing ",
)

NEW_TOKENS = 24

SHAKEN = 12
"""So many times are the weights shaken to see whether a difference is a tie."""

SEARCH = ("num_beams", "length_penalty", "early_stopping", "no_repeat_ngram_size")

Run = Callable[[Generation], Output]


def entry_of(folder: Path, catalog: Catalog) -> ModelEntry:
    """Return the catalog's entry of a model, or a T5's, to be searched as its own files say."""
    fields: dict[str, Any] = {"path": folder, "decoding": {}, "max_new_tokens": 64}
    for owner in OWNERS:
        with suppress(UnknownModel):
            return catalog.get(f"{owner}/{folder.name}").model_copy(update=fields)
    return ModelEntry(name=folder.name, family="t5", tasks=("summarize", "translate"), **fields)


def purposes(entry: ModelEntry) -> list[Purpose]:
    """Return what a model is asked to do here."""
    if entry.family == "t5":
        return [Purpose("summarize", "en"), Purpose("translate", "en", "fr")]
    if entry.tasks == ("summarize",):
        return [Purpose("summarize", "en")]
    return [Purpose("translate", *(entry.pairs[0] if entry.pairs else ("en", "fr")))]


class Reference:
    """transformers' tokenizer and model, used as the model's authors do."""

    def __init__(self, entry: ModelEntry, folder: Path):
        self.entry = entry
        self.tokenizer = load_tokenizer(entry, folder)
        self.model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.config = json.loads((folder / "config.published.json").read_text("utf-8"))

    def task(self, purpose: Purpose) -> dict[str, Any]:
        """Return the configuration's own parameters of a task, as pipelines take them."""
        name = f"translation_{purpose.source}_to_{purpose.target}"
        by_task = self.config.get("task_specific_params") or {}
        return by_task.get("summarization" if purpose.task == "summarize" else name) or {}

    def fed(self, text: str, purpose: Purpose) -> list[int]:
        """Return the ids of a text without special tokens in it."""
        family = self.entry.family
        if family == "m2m100":
            self.tokenizer.src_lang = purpose.source
        if family == "marian":
            if "“" not in self.tokenizer.get_vocab():
                text = MosesPunctNormalizer(purpose.source, norm_numbers=False).normalize(text)
            labels = [f">>{each}<<" for each in ("fra", "por") if f">>{each}<<" in self.tokenizer.get_vocab()]
            text = " ".join([*labels, text])
        else:
            text = self.task(purpose).get("prefix", self.config.get("prefix") or "") + text
        return list(self.tokenizer(text).input_ids)

    @torch.inference_mode()
    def written(self, ids: Sequence[int], purpose: Purpose) -> list[int]:
        """Return what `generate` makes of it with the published generation configuration."""
        own = {name: value for name, value in self.task(purpose).items() if name in SEARCH}
        if self.entry.family == "m2m100":
            own["forced_bos_token_id"] = self.tokenizer.get_lang_id(purpose.target)
        limits = {"max_new_tokens": NEW_TOKENS, "max_length": None, "min_length": 0}
        found = self.model.generate(torch.tensor([list(ids)]), **own, **limits, do_sample=False)
        return self.without_special(found[0].tolist())

    @torch.inference_mode()
    def is_tie(self, ids: Sequence[int], purpose: Purpose, found: list[int], own: list[int]) -> bool:
        """Return whether weights shaken a little make `generate` part from its own output as here."""
        parted = next(i for i in range(NEW_TOKENS + 1) if found[i : i + 1] != own[i : i + 1]) + 1
        kept = self.model
        try:
            for seed in range(SHAKEN):
                torch.manual_seed(seed)
                self.model = copy.deepcopy(kept)
                for weight in self.model.parameters():
                    weight.mul_(1 + 1e-6 * torch.randn_like(weight))
                if self.written(ids, purpose)[:parted] == found[:parted]:
                    return True
        finally:
            self.model = kept
        return False

    def without_special(self, ids: Sequence[int]) -> list[int]:
        return [i for i in ids if i not in self.tokenizer.all_special_ids]


def engines(entry: ModelEntry, store: Store, scratch: Path, num_beams: int) -> Iterator[tuple[str, Run]]:
    """Give each engine in turn, as a function."""

    def never(_: int) -> bool:
        return False

    folder, window = store.folder(entry), entry.max_source_tokens
    plain = GenerateBackend(store.load(entry, dtype="float32"), causal=False, max_source_tokens=window)
    yield "generate", lambda each: plain.run([each], never)[0]
    model, tokenizer = store.load(entry, dtype="float32"), load_tokenizer(entry, folder)
    to_ctranslate2(model, tokenizer, folder, scratch, quantization="float32")
    ct2 = Ct2Backend(scratch, causal=False, max_source_tokens=window, threads=1)
    yield "CTranslate2", lambda each: ct2.run([each], never)[0]
    limits = limits_for(num_beams, window, entry.max_new_tokens, 1)
    native = NativeEngine(store.load(entry, dtype="float32"), limits)
    yield "native", lambda each: native.submit([each])[0].result(120)
    native.close()


class Examination:
    """All that is looked at of one model. `wrong` says what differs."""

    def __init__(self, entry: ModelEntry, languages: Languages, scratch: Path):
        self.entry, self.scratch, self.store = entry, scratch, Store(scratch)
        folder = self.store.folder(entry)
        self.name, self.wrong = folder.name, list[str]()
        self.reference = Reference(entry, folder)
        (scratch / "tokenizer").mkdir(parents=True)
        write_down(self.reference.tokenizer, scratch / "tokenizer")
        reader = read_back(scratch / "tokenizer")
        assert reader is not None
        self.readers = [load_tokenizer(entry, folder), reader]
        config = self.store.generation_config(entry)
        self.codecs = [codec_of(entry, each, config, languages) for each in self.readers]
        self.purposes = purposes(entry)

    def row(self) -> list[str]:
        search = self.codecs[0].decoding(self.purposes[0], max_new_tokens=NEW_TOKENS)
        return [
            self.name,
            self.ids(),
            self.fed(),
            self.unknown(),
            f"{search.num_beams} beams",
            self.outputs(),
        ]

    def ids(self) -> str:
        published = next((each for name, each in PUBLISHED.items() if name in self.name), None)
        if published is None:
            return "-"
        text, expected = published
        for reader in self.readers:
            reader.src_lang = "en"  # which only transformers' M2M100 asks for
            found = list(reader(text, verbose=False).input_ids)
            if found[-len(expected) + 1 :] != expected[1:]:
                self.wrong.append(f"{type(reader).__name__} reads {text!r} as {found}, not {expected}")
        return "as published"

    def fed(self) -> str:
        same, all_texts = 0, [(purpose, text) for purpose in self.purposes for text in TEXTS]
        for purpose, text in all_texts:
            found = [list(codec.encode(text, purpose)) for codec in self.codecs]
            own = self.reference.fed(text, purpose)
            tokens = (*self.reference.tokenizer.all_special_tokens, ">>")
            if self.reference.tokenizer.unk_token_id in own or any(token in text for token in tokens):
                own = found[0]
            same += found == [own, own]
            if found != [own, own]:
                self.wrong.append(f"{text!r} is fed as {found}, by its authors as {own}")
        return f"{same} of {len(all_texts)}"

    def unknown(self) -> str:
        ids = self.codecs[0].encode(NEWS, self.purposes[0])
        count = ids.count(self.reference.tokenizer.unk_token_id)
        if count:
            self.wrong.append(f"{count} unknown tokens in the paragraph of news")
        return str(count)

    def outputs(self) -> str:
        todo = [
            (
                Generation(codec.encode(text, purpose), codec.decoding(purpose, max_new_tokens=NEW_TOKENS)),
                purpose,
            )
            for codec in self.codecs[:1]
            for purpose in self.purposes
            for text in TEXTS
        ]
        expected = [self.reference.written(each.source_ids, purpose) for each, purpose in todo]
        same = ties = total = 0
        beams = max(each.decoding.num_beams for each, _ in todo)
        for name, run in engines(self.entry, self.store, self.scratch / "ct2", beams):
            for (generation, purpose), own in zip(todo, expected, strict=True):
                found = self.reference.without_special(run(generation).token_ids)
                is_same = found == own
                is_tie = not is_same and self.reference.is_tie(generation.source_ids, purpose, found, own)
                total, same, ties = total + 1, same + is_same, ties + is_tie
                if not is_same and not is_tie:
                    self.wrong.append(f"{name} writes {found}, transformers {own}")
        return f"{same} of {total}" + (f", {ties} at ties" if ties else "")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", help="only this one")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    transformers.utils.logging.disable_progress_bar()
    languages = Languages.load()
    catalog = Catalog.load(languages)
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(scratch) / "models"
        names = [options.model] if options.model else []
        subprocess.run(
            [sys.executable, options.folder / "build.py", built, *names], check=True, capture_output=True
        )
        print("| model | ids | fed as by its authors | unknown | search | outputs as transformers' |")
        print("|---|---|---|---|---|---|")
        for folder in sorted(each for each in built.iterdir() if (each / "config.json").is_file()):
            entry = entry_of(folder, catalog)
            examination = Examination(entry, languages, Path(scratch) / "made" / folder.name)
            print(f"| {' | '.join(examination.row())} |", flush=True)
            failed += bool(examination.wrong)
            for each in examination.wrong:
                print(f"  {each}"[:400], file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
