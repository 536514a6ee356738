"""How near a batch run comes to its engine's own pace on the same texts.

    python bench/batch.py --cache FOLDER --records 48

The same generations that a translation's first round asks for are given to the engine alone, all at once,
then the whole batch is run: read, split, checked, tried again where something is wrong, restored, kept on the
disk, written. Both count output tokens a second; the engine's own time inside the run says how long it
waited. Texts are made of the sentences below, each different, as nothing is to be remembered. Prints one
JSON line.
"""

import argparse
import itertools
import json
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import platformdirs

from models.driver import Driver, PendingGeneration
from models.engine.protocol import Output
from models.translate.translator import TranslationRequest
from service.batch import preflight
from service.batch.options import BatchOptions
from service.batch.record import Content
from service.batch.run import BatchRun
from service.batch.task import BatchWork
from service.runtime import Runtime
from service.settings import Settings

WHO = [
    "The minister",
    "A spokesman for the city",
    "The committee",
    "Her office",
    "The director of the museum",
]
DID = ["said on Monday", "announced in Vienna", "denied last week", "told reporters", "confirmed in a letter"]
WHAT = [
    "that talks about the border would go on in the spring",
    "that the bridge over the river would be closed for repairs until the end of the summer",
    "that no decision had been taken",
    "that the agreement with the neighbouring country, which both sides had worked on for years, was signed",
    "that visitors may come back next week",
]


def articles(count: int, seed: int, lengths: tuple[int, int] = (2, 12)) -> list[str]:
    """So many texts of so many sentences, no sentence twice."""
    rng, number = random.Random(seed), itertools.count(1)
    return [
        " ".join(
            f"{rng.choice(WHO)} {rng.choice(DID)} {rng.choice(WHAT)}, in statement number {next(number)}."
            for _ in range(rng.randint(*lengths))
        )
        for _ in range(count)
    ]


class Recorder:
    """Remembers nothing, but which generations were made."""

    def __init__(self) -> None:
        self.made: dict[PendingGeneration, Output] = {}

    def recall(self, wanted: Sequence[PendingGeneration]) -> dict[PendingGeneration, Output]:
        return {}

    def keep(self, made: Mapping[PendingGeneration, Output], failed: int) -> None:
        self.made |= made


def bare(runtime: Runtime, texts: list[str], options: TranslationRequest, given: dict) -> dict[str, float]:
    """The engine alone: output tokens and seconds."""
    task = BatchWork(runtime, options, given)
    recorder = Recorder()
    Driver([task.plan(Content("text", text)).steps for text in texts], wait=True, cache=recorder).run()
    engine = next(iter(recorder.made)).engine
    start = time.perf_counter()
    futures = engine.submit([wanted.generation for wanted in recorder.made], wait=True)
    tokens = sum(len(future.result().token_ids) for future in futures)
    return {"tokens": tokens, "seconds": time.perf_counter() - start}


def whole(runtime: Runtime, texts: list[str], options: TranslationRequest, given: dict, model: str) -> dict:
    """The batch run's summary."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.jsonl"
        source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        summary = Path(folder) / "summary.json"
        files = BatchOptions(infile=str(source), out=f"{folder}/out.jsonl", summary=str(summary))
        task = BatchWork(runtime, options, given)
        told = {"dragoman": "bench", "task": "translate", "parameters": {}, "models": {model: ""}}
        BatchRun(files, task, told).run()
        return json.loads(summary.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, default=Path(platformdirs.user_cache_dir("dragoman")))
    parser.add_argument("--model", default="dragoman/gemma3-270m-translate")
    parser.add_argument("--catalog", type=Path)
    parser.add_argument("--target", default="fr")
    parser.add_argument("--records", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()

    runtime = Runtime(Settings(cache_dir=asked.cache, catalog=asked.catalog))
    options = TranslationRequest(text="", target=asked.target, source="en", model=asked.model)
    given = {"target": asked.target, "model": asked.model, "source": "en"}
    preflight.check(runtime, options)
    texts = articles(asked.records, asked.seed)
    alone = bare(runtime, texts, options, given)
    run = whole(runtime, texts, options, given, asked.model)
    runtime.close()
    rate = alone["tokens"] / alone["seconds"]
    print(
        json.dumps(
            {
                "model": asked.model,
                "records": len(texts),
                "sentences": sum(text.count(".") for text in texts),
                "engine_alone_tokens_per_s": round(rate, 1),
                "engine_alone_s": round(alone["seconds"], 1),
                "run_tokens_per_s": run["output_tokens_per_s"],
                "run_s": round(run["seconds"], 1),
                "run_output_tokens": run["output_tokens"],
                "share": round(run["output_tokens_per_s"] / rate, 3),
                "engine_had_work": run["engine_share"],
                "text_s": run["text_s"],
            }
        )
    )


if __name__ == "__main__":
    main()
