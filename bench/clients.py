"""Sentences a second of a running server beside CTranslate2's own, and where the time goes.

    dragoman serve &
    python bench/clients.py --url http://127.0.0.1:8080
    python bench/clients.py --model opus-mt --target de --sentences FILE --clients 1 16 --arrays 64 --rounds 3

For numbers of clients, each of which posts one sentence after another to /v1/translate, and for arrays of
sentences, one after another. No two sentences are the same, so that nothing comes from a cache. Then
CTranslate2 gets the same sentences in this process, as many at a time, in one batch on all cores and in a
batch for each core, with the model's own beams, or greedily with `--quality fast`. All that `--rounds` times:
more rounds with fewer requests each spare a machine whose speed varies.

Prints a JSON line of means for each row: `first` and `second` are parts of the time in which batches of first
searches and of second tries ran, `waiting` is how long a sentence waited for its batch and `text` what the
server spent on it beside the model, both in seconds.
"""

import argparse
import json
import os
import re
import statistics
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # both as a server sets them
os.environ.setdefault("OMP_WAIT_POLICY", "ACTIVE")

import platformdirs

from models.catalog import Catalog
from models.codec import Purpose
from models.cpu import LOOK_EVERY_S
from models.engine.ct2 import read_tokens
from models.engine_choice import EngineMaker
from models.languages import Languages
from models.loaded import TextModel
from models.pool import ModelPool
from models.store import Store

SUBJECTS = ["The minister", "A spokesman", "The committee", "Her office", "The delegation", "The embassy"]
VERBS = [
    "said on Monday",
    "announced in Vienna",
    "denied last week",
    "told reporters",
    "confirmed in a letter",
]
CLAIMS = [
    "that talks about the border would go on in the spring.",
    "that the agreement with the neighbouring country had been signed.",
    "that no weapons would be sent before the summer.",
    "that the ambassador had been called back for consultations.",
]
MOST_TOKENS = 128
"""Of an output: what the server allows a sentence of 25 to 60 tokens, should it end in a loop."""
Row = dict[str, Any]


def made(i: int) -> str:
    """The i-th of 120 sentences, numbered so that no two are the same."""
    parts = SUBJECTS[i % 6], VERBS[i // 6 % 5], CLAIMS[i // 30 % 4]
    return " ".join(parts)[:-1] + f", in statement number {i}."


class Server:
    """A running server, and what it counts."""

    def __init__(self, options: argparse.Namespace):
        self._url = options.url
        self._body = {"source": options.source, "target": options.target, "quality": options.quality}
        if options.model:
            self._body["model"] = options.model

    def _ask(self, path: str, body: Row | None = None) -> bytes:
        sent = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, sent, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=600) as response:
            return bytes(response.read())

    def translate(self, texts: Sequence[str]) -> Row:
        """Return the answer to an array, or for one text to that alone."""
        own = {"text": texts[0]} if len(texts) == 1 else {"texts": texts}
        answer: Row = json.loads(self._ask("/v1/translate", {**self._body, **own}))
        return answer

    def counts(self) -> dict[str, float]:
        """Return seconds of first and second searches and of waiting, and the number of batches."""
        found: dict[str, float] = defaultdict(float)
        text = self._ask("/metrics").decode()
        for name, labels, value in re.findall(r"^dragoman_(\w+)\{([^}]*)\} (\S+)$", text, re.M):
            if name == "search_seconds_total":
                found["first" if 'hypotheses="1"' in labels else "second"] += float(value)
            elif name in ("waiting_seconds_total", "batch_size_count"):
                found[name.split("_")[0]] += float(value)
        return found

    def measure(self, requests: Sequence[Sequence[str]], clients: int) -> Row:
        """Send the requests from so many threads."""
        self.translate(["Good morning."])
        time.sleep(2 * LOOK_EVERY_S)  # the server looks again at how many cores others keep busy
        self.translate(["Good evening."])
        before, start = self.counts(), time.perf_counter()
        with ThreadPoolExecutor(clients) as threads:
            answers = list(threads.map(self.translate, requests))
        seconds, number = time.perf_counter() - start, sum(map(len, requests))
        after = self.counts()
        results = [each for answer in answers for each in answer.get("results", [answer])]
        return {
            "sentences_per_s": number / seconds,
            "batches": after["batch"] - before["batch"],
            "first": (after["first"] - before["first"]) / seconds,
            "second": (after["second"] - before["second"]) / seconds,
            "waiting": (after["waiting"] - before["waiting"]) / number,
            "text": sum(each["timings_ms"]["text"] for each in results) / 1000 / number,
        }


class Plain:
    """CTranslate2 with the model as a server has it, on all cores in two ways."""

    def __init__(self, options: argparse.Namespace):
        import ctranslate2

        languages = Languages.load()
        catalog, store = Catalog.load(languages, options.catalog), Store(options.cache)
        entry = catalog.get(options.model or "dragoman/gemma3-270m-translate")
        pool = ModelPool(catalog, store, languages, EngineMaker(store, device="cpu"))
        purpose = Purpose("translate", options.source, options.target)
        with pool.use(entry) as model:
            assert isinstance(model, TextModel)
            self._encode = partial(model.codec.encode, purpose=purpose)
            decoding = model.codec.decoding(purpose, max_new_tokens=MOST_TOKENS)
        pool.close()
        folder, self._cores = store.ct2_folder(entry), os.cpu_count() or 1
        self._tokens = read_tokens(folder, "source")
        causal = entry.kind == "causal"
        beams = {"fast": 1, "best": max(4, decoding.num_beams)}.get(options.quality, decoding.num_beams)
        self._options: Row = {"beam_size": beams, "return_scores": True}
        self._options |= {"max_length": MOST_TOKENS} if causal else {"max_decoding_length": MOST_TOKENS}
        if causal:
            self._options |= {"include_prompt_in_result": False, "end_token": [*decoding.stop_token_ids]}
        load = ctranslate2.Generator if causal else ctranslate2.Translator
        sizes = {"one batch": (1, self._cores), "a batch a core": (self._cores, 1)}
        models = {
            name: load(str(folder), "cpu", inter_threads=a, intra_threads=b) for name, (a, b) in sizes.items()
        }
        self.ways: dict[str, Callable[..., Any]] = {
            name: each.generate_batch if causal else each.translate_batch for name, each in models.items()
        }

    def measure(self, lists: Sequence[Sequence[str]]) -> Row:
        """Return sentences a second in both ways, list by list, sorted by length and shared out evenly."""
        found = {}
        for name, run in self.ways.items():
            start = time.perf_counter()
            for texts in lists:
                sources = sorted(([self._tokens[i] for i in self._encode(text)] for text in texts), key=len)
                number = 1 if name == "one batch" else self._cores
                parts = [sources[i::number] for i in range(number)]
                with ThreadPoolExecutor(number) as threads:
                    list(threads.map(lambda part, run=run: run(part, **self._options), filter(None, parts)))
            found[name] = sum(map(len, lists)) / (time.perf_counter() - start)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--model", default="", help="the server's own, if it is the bundled one")
    parser.add_argument("--source", default="en")
    parser.add_argument("--target", default="fr")
    parser.add_argument("--quality", default="fast")
    parser.add_argument("--sentences", type=Path, help="a file with one a line, in place of made ones")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--arrays", type=int, nargs="*", default=[8, 16, 24, 44])
    parser.add_argument(
        "--each", type=int, default=3, help="so many requests of each client, and arrays, a round"
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--catalog", type=Path)
    parser.add_argument("--cache", type=Path, default=Path(platformdirs.user_cache_dir("dragoman")))
    options = parser.parse_args()
    lines = options.sentences.read_text("utf-8").splitlines() if options.sentences else []
    texts = (lines[i % len(lines)] if lines else made(i) for i in count())
    server, plain = Server(options), Plain(options)
    rows = [
        *(("clients", number) for number in options.clients),
        *(("array", size) for size in options.arrays),
    ]
    for text in [next(texts) for _ in range(4)]:  # warm up
        server.translate([text])
        plain.measure([[text]])
    found: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for _ in range(options.rounds):
        for kind, number in rows:
            size, clients = (1, number) if kind == "clients" else (number, 1)
            requests = [[next(texts) for _ in range(size)] for _ in range(options.each * clients)]
            told = server.measure(requests, clients)
            sent = [text for request in requests for text in request]
            told |= plain.measure([sent[i : i + number] for i in range(0, len(sent), number)])
            found[kind, number].append(told)
    for (kind, number), own in found.items():
        rates, means = {"sentences_per_s", *plain.ways}, {}
        for name in own[0]:
            mean = statistics.harmonic_mean if name in rates else statistics.mean
            means[name] = round(mean(each[name] for each in own), 3)
        print(json.dumps({kind: number, **means}), flush=True)


if __name__ == "__main__":
    main()
