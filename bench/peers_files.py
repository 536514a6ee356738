"""`dragoman batch translate` over files of the cipher's sentences: how fast, and every answer checked."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cipher_model import Cipher
from peers_cases import ARTICLE, Tally, as_article, in_parts, measured
from peers_systems import ROOT, Dragoman, Models

FILES = {"file": 1, "file of articles": ARTICLE}
"""Sentences in a record."""
SENTENCES = {1: 2_000, 4: 1_000}
"""In a file, by the number of beams: some 40 seconds of work for two cores."""


def measure_files(
    models: Models, num_beams: int, cipher: Cipher, cases: Sequence[str], tries: int
) -> Iterator[dict[str, Any]]:
    """Translate each file in a process of its own.

    Seconds are those of the batch's own summary: from the first record read to the last one written, models
    loaded before. `cpu_ms` and `others_cores` are of the whole process, its start and the loading too.
    """
    for case in cases:
        sources = list(in_parts(cipher.sentences[: SENTENCES[num_beams]], FILES[case]))
        found = measured(None, lambda sources=sources: _translated(models, num_beams, cipher, sources), tries)
        yield {"case": case, **found}


def _translated(models: Models, num_beams: int, cipher: Cipher, sources: list[list[str]]) -> dict[str, Any]:
    serve, variables = Dragoman(models, num_beams).command()
    with tempfile.TemporaryDirectory(dir=models.folder) as name:
        folder = Path(name)
        records = (json.dumps({"text": as_article(source)}) + "\n" for source in sources)
        (folder / "in.jsonl").write_text("".join(records))
        paths = [str(folder / each) for each in ("in.jsonl", "out.jsonl", "summary.json")]
        options = ["--from", "en", "--to", "fr", paths[0], paths[1], "--summary", paths[2]]
        ended = subprocess.run(
            [*serve[:-1], "batch", "translate", *options],
            env={**os.environ, **variables},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            return {"sentences": 0, "error": f"it ended with {ended.returncode}: {ended.stderr[-300:]}"}
        summary = json.loads(Path(paths[2]).read_text())
        rows = [json.loads(line) for line in Path(paths[1]).read_text().splitlines()]
    tally = Tally(cipher)
    tally.check(sources, [row["result"]["translation"] for row in rows])
    kept = ("seconds", "engine_share", "text_s")
    return {
        "sentences": tally.sentences,
        "sentences_per_s": round(tally.sentences / summary["seconds"], 2),
        "wrong": tally.wrong,
        **{each: summary[each] for each in kept},
    }
