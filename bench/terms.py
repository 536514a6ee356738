"""How often protected words survive a translation: each form of mask in one sentence after another.

    python bench/terms.py --cache DIR

Then the same through the translator, which masks with the best of them and tries again where a word was lost.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from models.catalog import Catalog
from models.engine_choice import EngineMaker
from models.languages import Languages
from models.loading import Store
from models.pool import ModelPool
from models.tasks.driver import run, run_all
from models.tasks.translation import TranslationRequest
from models.tasks.translator import Translator
from models.text.language import LanguageDetector

MASKS: dict[str, Sequence[str]] = {
    "as it is": ("Blue Lantern", "Open Door", "Riverside Health"),
    "QX7": ("QX7", "QX8", "QX9"),
    "X1X": ("X1X", "X2X", "X3X"),
    "XQ1": ("XQ1", "XQ2", "XQ3"),
    "%1": ("%1", "%2", "%3"),
    "[1]": ("[1]", "[2]", "[3]"),
    "{1}": ("{1}", "{2}", "{3}"),
    "#1": ("#1", "#2", "#3"),
    "<1>": ("<1>", "<2>", "<3>"),
    "__1__": ("__1__", "__2__", "__3__"),
}

SENTENCES = (
    "The new version of {} was shown to reporters on Monday.",
    "Critics say that {} did not answer their letters.",
    "More than 300 people work for {} in the north of the country.",
    "The minister praised {}, a charity that helps homeless families.",
    "Prices at {} rose by 4 percent last year.",
    "She has written for {} since 2011.",
    "In a statement, {} said it would appeal against the ruling.",
    "Reporters asked {} and {} about the new rules for {}.",
    "{} was founded in 1998 by {}.",
    "The fight between {} and {} has cost {} a lot of money.",
    "Open the menu {}, choose {} and press {}.",
    "Neither {} nor {} answered.",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="dragoman/gemma3-270m-translate")
    parser.add_argument("--targets", default="fr,de,es,ru,zh")
    parser.add_argument("--cache", type=Path, default=Path(platformdirs.user_cache_dir("dragoman")))
    options = parser.parse_args()
    languages, store = Languages.load(), Store(options.cache)
    pool = ModelPool(Catalog.load(languages), store, languages, EngineMaker(store))
    translator = Translator(pool, languages, LanguageDetector(), default_model=options.model)
    for target in options.targets.split(","):
        result = {name: _survival(translator, names, target) for name, names in MASKS.items()}
        print(
            json.dumps({"target": target, **result, "translator": _honoured(translator, target)}), flush=True
        )
    pool.close()


def _survival(translator: Translator, names: Sequence[str], target: str) -> str:
    """How many of the names stand in the plain translations exactly once."""
    texts = [sentence.format(*names) for sentence in SENTENCES]
    done = run(translator.translate(texts, "en", target), wait=True).unwrap()
    kept = [
        text.count(name) == 1
        for sentence, text in zip(SENTENCES, done.texts, strict=True)
        for name in names[: sentence.count("{}")]
    ]
    return f"{sum(kept)}/{len(kept)}"


def _honoured(translator: Translator, target: str) -> str:
    names = MASKS["as it is"]
    requests = [
        TranslationRequest(text=sentence.format(*names), source="en", target=target, protect=tuple(names))
        for sentence in SENTENCES
    ]
    outcomes = run_all([translator.steps(request) for request in requests], wait=True)
    terms = [term.honoured for outcome in outcomes for term in outcome.unwrap().terms]
    return f"{sum(terms)}/{len(terms)}"


if __name__ == "__main__":
    main()
