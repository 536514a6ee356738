"""The CTranslate2 backend: encoder-decoders and causal models, in int8 on a CPU, in 16 bits on CUDA.

CTranslate2 speaks tokens rather than ids; the folder's vocabulary translates.

On a CPU it takes its number of threads when it loads a model, once for all workers. But a batch that runs
alone is quickest on all cores, and batches that run side by side are on one core each; two loaded models, one
for each, would take twice the memory. So the workers' own threads are told: CTranslate2 calls a callback from
them, and there `omp_set_num_threads` holds for that worker. Where OpenMP's library is not libgomp, as it is
in CTranslate2's packages for Linux, nothing is set.
"""

import ctypes
import json
import logging
import threading
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import ctranslate2

from models import cpu
from models.engine.batching import CPU_SIZES, BatchSizes
from models.engine.gpu import CUBLAS, load_cublas
from models.engine.protocol import Decoding, Generation, Output
from models.errors import EngineFailed

log = logging.getLogger(__name__)

_TOGETHER = replace(CPU_SIZES, cores=2)
SIZES = {
    False: CPU_SIZES,
    True: replace(
        _TOGETHER, greedy=replace(_TOGETHER, least_rows=16, good_rows=24, most_rows=64, own_limits=True)
    ),
}
"""The sizes of batches on CPUs, by whether a model is causal. Sentences a second with one batch on two cores,
and with one on each (AMD EPYC, quiet): the bundled causal model in CTranslate2 greedily, 16 in hand, 9.4 and
6.9, 24 in hand 11.0 and 4.1, with four beams 3.1 and 2.9 (2026-11-30); sixteen clients of its server 3.5 and
3.1 (2026-12-01). A Marian model's server greedily, means of two runs: sixteen clients 20.9 and 26.8, arrays
of 64 40.8 and 57.9, a file 55.3 and 73.3 (2026-12-01); with four beams a batch a core is faster too."""

BEAM_ROWS = 128
"""About as many hypotheses are searched at a time on a CPU; larger batches come one part after another."""

LEAST_LOOP = 24
"""Tokens: what goes round for fewer is no loop yet, however short its source is."""

MOST_WORKERS = 16

MEETING_S = 1.0
"""Workers that are told together wait no longer for each other; one of them may have got work meanwhile."""


def sees_cuda() -> bool:
    """Return whether CTranslate2 finds a CUDA device; its package may be one without CUDA."""
    return bool(ctranslate2.get_cuda_device_count())


class Ct2Backend:
    """Runs a converted folder. `max_source_tokens` is the model's window.

    On a CPU `threads` 0 means all cores; a batch that runs alone has all of them, less those that others keep
    busy, and batches that run at the same time share them out. On CUDA, in the numbers `compute_type`, one
    batch runs at a time, of `sizes`. EngineFailed without cuBLAS; RuntimeError or ValueError, CTranslate2's
    own, if it cannot be loaded there or write a token.
    """

    def __init__(
        self,
        folder: Path,
        *,
        causal: bool,
        max_source_tokens: int,
        threads: int = 0,
        device: str = "cpu",
        compute_type: str = "default",
        sizes: BatchSizes | None = None,
    ):
        self.max_source_tokens = max_source_tokens
        self.sizes = (
            SIZES[causal] if sizes is None else replace(sizes, greedy=replace(sizes, own_limits=causal))
        )
        self._on_cuda = device == "cuda"
        self.batches_at_a_time = 1
        self._causal = causal
        libraries = openmp() if device == "cpu" else []
        self._cores = threads or cpu.whole(cpu.usable())
        if not threads:  # OMP_NUM_THREADS
            self._cores = min([self._cores, *(library.omp_get_max_threads() for library in libraries)])
        self.workers = min(self._cores, MOST_WORKERS) if libraries else 1
        if self._on_cuda and not load_cublas():
            raise EngineFailed(f"CTranslate2 needs {CUBLAS[-1]} on a GPU: pip install nvidia-cublas-cu12")
        load = ctranslate2.Generator if causal else ctranslate2.Translator
        self._model = load(
            str(folder),
            device=device,
            compute_type=compute_type,
            inter_threads=self.workers,
            intra_threads=self._cores,
        )
        self._source = read_tokens(folder, "source")
        self._target = self._source if causal else read_tokens(folder, "target")
        self._target_ids = {} if causal else {token: i for i, token in enumerate(self._target)}
        self._threads = WorkerThreads(libraries, self._probe, self.workers) if self.workers > 1 else None
        self._neighbours = cpu.Neighbours()
        self._running = 0
        self._lock = threading.Lock()
        if self._on_cuda:
            self._probe(None)  # cuBLAS is looked for when it is first used

    def vocabulary_size(self) -> int:
        return len(self._source)

    def at_a_time(self, cores: int) -> int:
        """See `Backend.at_a_time`. As many as there are workers while others leave fewer cores free."""
        return max(1, self.workers // cores) if self._free() >= cores else self.workers

    def run(
        self,
        batch: Sequence[Generation],
        stopped: Callable[[int], bool],
        finished: Callable[[int, Output], object] | None = None,
    ) -> list[Output]:
        """See `Backend.run`. Beam search cannot be stopped midway; large batches go in parts, each run whole.

        Nor can a greedy search of an encoder-decoder, if nobody listens: with Python at work elsewhere a
        callback waits for its turn at every step, and 16 sentences took 1.83 s for 1.24.
        """
        with self._lock:
            self._running += 1
            if self._threads is not None:
                self._threads.set(self._share(), free=max(1, self.workers - self._running + 1))
        try:
            return self._in_parts(batch, stopped, finished)
        finally:
            with self._lock:
                self._running -= 1

    def is_alive(self) -> bool:
        if self._on_cuda:
            try:
                self._probe(None)
            except RuntimeError as error:
                return "out of memory" in str(error)
        return True

    def close(self) -> None:
        del self._model

    def _share(self) -> int:
        """The threads of a batch that is about to run."""
        together = max(self._running, self.batches_at_a_time)
        if together > 1:
            return max(1, self._cores // together)
        return self._free()

    def _free(self) -> int:
        """The cores that other processes leave free."""
        return min(self._cores, cpu.whole(len(cpu.bound()) - self._neighbours.busy()))

    def _in_parts(
        self,
        batch: Sequence[Generation],
        stopped: Callable[[int], bool],
        finished: Callable[[int, Output], object] | None,
    ) -> list[Output]:
        beams = batch[0].decoding.num_beams
        if beams == 1:
            if batch[0].decoding.only_scores:
                return [self._scored(generation) for generation in batch]
            if self._causal or any(g.on_token for g in batch):
                callback = _StepCallback(batch, stopped, finished, tells=self._causal)
                return [callback.told(i, each) for i, each in enumerate(self._run(batch, callback=callback))]
            return self._run(batch)
        outputs: list[Output] = []
        size = len(batch) if self._on_cuda else max(1, BEAM_ROWS // beams)
        for start in range(0, len(batch), size):
            places = range(start, min(start + size, len(batch)))
            if all(map(stopped, places)):
                outputs += [Output((), finish="length")] * len(places)  # which nobody waits for
                continue
            outputs += self._run(batch[start : places.stop])
            if finished is not None:
                for i in places:
                    finished(i, outputs[i])
        return outputs

    def _run(self, batch: Sequence[Generation], **callback: Any) -> list[Output]:
        decoding = batch[0].decoding
        options = {**self._options(decoding), **callback}
        sources = [[self._source[i] for i in generation.source_ids] for generation in batch]
        if self._causal:
            results = self._model.generate_batch(
                sources,
                max_length=max(each.decoding.max_new_tokens for each in batch),
                min_length=decoding.min_new_tokens,
                include_prompt_in_result=False,
                **options,
            )
            return [
                _ranked(r.sequences_ids, r.scores, each.decoding)
                for r, each in zip(results, batch, strict=True)
            ]
        forced = decoding.forced_bos_token_id
        first = 0 if forced is None else 1
        if forced is not None:
            options["target_prefix"] = [[self._target[forced]]] * len(sources)
        most = decoding.max_new_tokens - (decoding.forced_eos_token_id is not None)
        results = self._model.translate_batch(
            sources,
            max_input_length=0,
            max_decoding_length=most,
            min_decoding_length=min(decoding.min_new_tokens, most),
            **options,
        )
        return [
            _ranked(
                [[self._target_ids[token] for token in each[first:]] for each in r.hypotheses],
                r.scores,
                decoding,
            )
            for r in results
        ]

    def _scored(self, generation: Generation) -> Output:
        """Return what a causal model tells of a source. CTranslate2 4.8 fails on several of other lengths."""
        if not self._causal:
            return Output(())
        (result,) = self._model.score_batch([[self._source[i] for i in generation.source_ids]])
        return Output((), token_log_probabilities=tuple(round(each, 3) for each in result.log_probs))

    def _probe(self, callback: Callable[[Any], bool] | None) -> None:
        """Search one token, in whichever worker is free; it calls the callback."""
        ordinary = [[self._source[len(self._source) // 2]]]  # a special one might end the search at once
        if self._causal:
            self._model.generate_batch(ordinary, beam_size=1, max_length=1, min_length=1, callback=callback)
        else:
            self._model.translate_batch(
                ordinary, beam_size=1, max_decoding_length=1, min_decoding_length=1, callback=callback
            )

    def _options(self, decoding: Decoding) -> dict[str, Any]:
        options: dict[str, Any] = {
            "beam_size": decoding.num_beams,
            "num_hypotheses": decoding.num_return_sequences,
            "length_penalty": decoding.length_penalty,
            "repetition_penalty": decoding.repetition_penalty,
            "no_repeat_ngram_size": decoding.no_repeat_ngram_size,
            "return_scores": True,
        }
        known = [i for i in decoding.suppressed_token_ids if i < len(self._target)]  # Marian's <pad> is gone
        if known:
            options["suppress_sequences"] = [[self._target[i]] for i in known]
        if decoding.stop_token_ids:
            options["end_token"] = list(decoding.stop_token_ids)
        return options


def _ranked(rows: list[list[int]], scores: list[float], decoding: Decoding) -> Output:
    """Return the first of a request's hypotheses, with the others."""
    first, *others = (_output(ids, score, decoding) for ids, score in zip(rows, scores, strict=True))
    return replace(first, others=tuple(others))


def _output(ids: list[int], score: float, decoding: Decoding) -> Output:
    forced = (decoding.forced_bos_token_id is not None) + (decoding.forced_eos_token_id is not None)
    full = len(ids) + forced >= decoding.max_new_tokens
    return Output(tuple(ids), score, "length" if full else "stop")


class _StepCallback:
    """What CTranslate2 calls with each new token of a greedy search; returns whether to stop that item.

    The tokens come with the forced first one and with the stop token, which no `on_token` is to see.
    """

    def __init__(
        self,
        batch: Sequence[Generation],
        stopped: Callable[[int], bool],
        finished: Callable[[int, Output], object] | None,
        *,
        tells: bool,
    ):
        self._batch = batch
        self._tells = tells
        """Whether outputs have their tokens' probabilities: only where each search has a callback, so that a
        listener changes nothing."""
        self._stopped = stopped
        self._finished = finished
        self._steps: list[list[tuple[int, float]]] = [[] for _ in batch]
        self._looped: set[int] = set()

    def __call__(self, step: Any) -> bool:
        i = step.batch_id
        generation, seen = self._batch[i], self._steps[i]
        decoding = generation.decoding
        seen.append((step.token_id, step.log_prob))
        forced_first = len(seen) == 1 and decoding.forced_bos_token_id is not None
        stops = step.token_id in decoding.stop_token_ids
        if generation.on_token is not None and not forced_first and not stops:
            generation.on_token(step.token_id)
        if (
            decoding.ends_loops
            and len(seen) % 8 == 0
            and is_loop(generation.source_ids, [token for token, _ in seen])
        ):
            self._looped.add(i)
        ends = step.is_last or i in self._looped
        if ends and self._finished and decoding.stop_token_ids:  # else the stops are not known
            self._finished(i, self._whole(i, decoding))
        return ends or self._stopped(i) or len(seen) >= decoding.max_new_tokens

    def _whole(self, i: int, decoding: Decoding) -> Output:
        seen = self._steps[i]
        score = sum(log_prob for _, log_prob in seen) / len(seen) ** decoding.length_penalty
        first = 0 if decoding.forced_bos_token_id is None else 1
        ids = [token for token, _ in seen[first:]]
        if ids and ids[-1] in decoding.stop_token_ids:
            ids.pop()
        return self.told(i, _output(ids, score, decoding))

    def told(self, i: int, output: Output) -> Output:
        """Return item i's output with the log probability of each token, if it `tells` them."""
        if i in self._looped:
            output = replace(output, finish="length")
        if not self._tells:
            return output
        first = 0 if self._batch[i].decoding.forced_bos_token_id is None else 1
        steps = self._steps[i][first : first + len(output.token_ids)]
        return replace(
            output, token_log_probabilities=tuple(round(log_probability, 3) for _, log_probability in steps)
        )


def is_loop(source: Sequence[int], written: Sequence[int]) -> bool:
    """Return whether the end of what is written, as long as the source, is the same three times or more.

    Never for a source that repeats itself.
    """
    tokens = max(LEAST_LOOP, len(source))
    if len(written) < tokens or 2 * len(set(source)) < len(source):
        return False
    end = written[-tokens:]
    return any(end[period:] == end[:-period] for period in range(1, tokens // 3 + 1))


# ------------------------------------------------------------------------------------- threads


def openmp(maps: Path = Path("/proc/self/maps")) -> list[ctypes.CDLL]:
    """Return the loaded copies of libgomp; none unless CTranslate2 has brought one.

    torch brings one too, and where it was imported before CTranslate2, both compute with torch's: its symbols
    are global. So all are told.
    """
    try:
        paths = {line.split()[-1] for line in maps.read_text().splitlines() if "/libgomp" in line}
        return [ctypes.CDLL(path) for path in sorted(paths)] if "ctranslate2" in str(paths) else []
    except OSError:
        return []


class WorkerThreads:
    """The threads of a model's workers. `probe(callback)` runs a greedy search of one token in a free worker.

    All methods may be called from any thread.
    """

    def __init__(
        self,
        libraries: Sequence[Any],
        probe: Callable[[Callable[[Any], bool]], None],
        workers: int,
    ):
        self._libraries = libraries
        self._probe = probe
        self._workers = workers
        self._threads: dict[int, int] = {}
        """By a worker's native thread."""
        self._lock = threading.Lock()

    def set(self, threads: int, *, free: int) -> None:
        """Have those workers compute with so many threads that have nothing to do, `free` of them."""
        with self._lock:
            if list(self._threads.values()).count(threads) == self._workers:
                return
            setter = self._setter(threads, threading.Barrier(free))
            others = [threading.Thread(target=self._tell, args=[setter]) for _ in range(free - 1)]
            for other in others:
                other.start()
            self._tell(setter)
            for other in others:
                other.join()

    def _tell(self, setter: Callable[[Any], bool]) -> None:
        try:
            self._probe(setter)
        except Exception:
            log.exception("the number of threads could not be set; using the default")

    def _setter(self, threads: int, meeting: threading.Barrier) -> Callable[[Any], bool]:
        def called(_: Any) -> bool:
            worker = threading.get_native_id()
            if self._threads.get(worker) != threads:
                for library in self._libraries:
                    library.omp_set_num_threads(threads)
                self._threads[worker] = threads
            if meeting.parties > 1 and not meeting.broken:
                with suppress(threading.BrokenBarrierError):
                    meeting.wait(MEETING_S)  # so that each of them is told, and none of them twice
            return True

        return called


# ------------------------------------------------------------------------------------- tokens


class TokenTable:
    """The tokens in the order of their ids, in one piece: 2 MB for 178,621, which take 16 as strings."""

    def __init__(self, tokens: Sequence[str]):
        encoded = [token.encode("utf-8", "surrogatepass") for token in tokens]
        self._bytes = b"".join(encoded)
        self._ends = array("I", accumulate(map(len, encoded), initial=0))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, i: int) -> str:
        if not 0 <= i < len(self):
            raise IndexError(i)
        return self._bytes[self._ends[i] : self._ends[i + 1]].decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))


def read_tokens(folder: Path, side: str) -> TokenTable:
    """Return the tokens of a converted folder's `source` or `target` side."""
    for name in (f"{side}_vocabulary.json", "shared_vocabulary.json", "vocabulary.json"):
        if (folder / name).is_file():
            return TokenTable(json.loads((folder / name).read_text("utf-8")))
    raise FileNotFoundError(f"{folder} holds no vocabulary")
