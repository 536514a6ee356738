"""The pool of loaded models: loaded once, unloaded when there are too many, and failures told."""

import json
import shutil
import threading
from dataclasses import replace

import pytest
from tiny_models import SENTENCES

from models.codec import Purpose
from models.engine.native import NativeEngine
from models.engine.protocol import Generation
from models.engine_choice import EngineMaker
from models.errors import ModelUnavailable
from models.load_progress import LOADING, READY
from models.pool import ModelPool
from models.store import PreparedFolder


def _pool(tiny_hub, languages, *kinds, max_loaded=4, **given):
    engines = EngineMaker(tiny_hub.store, device="cpu", threads=1, **given)
    return ModelPool(tiny_hub.catalog(*kinds), tiny_hub.store, languages, engines, max_loaded=max_loaded)


def test_the_least_lately_used_goes_but_never_one_in_use(tiny_hub, languages):
    pool = _pool(tiny_hub, languages, "marian", "bart", "t5", max_loaded=1)
    with pool.use(pool.catalog.get("tiny/marian")) as marian:
        pool.load("tiny/bart")
        assert "tiny/marian" in pool.loaded()
        assert marian.engine.stats().ready
    assert pool.loaded() == ["tiny/marian"]  # bart was idle, and one too many
    pool.load("tiny/t5")
    assert pool.loaded() == ["tiny/t5"]
    assert list(pool.stats()) == ["tiny/t5"]
    pool.close()
    assert pool.loaded() == []


def test_threads_that_need_a_model_load_it_once(tiny_hub, languages):
    pool = _pool(tiny_hub, languages, "marian")
    seen = []

    def work():
        with pool.use(pool.catalog.get("tiny/marian")) as model:
            seen.append(id(model))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 1
    assert len(seen) == 8
    pool.close()


def test_a_failure_is_told_and_tried_again(tiny_hub, languages, caplog):
    pool = _pool(tiny_hub, languages, "mt5")
    folder = pool.catalog.get("tiny/mt5").path
    (folder / "config.json").rename(folder / "config.away")
    assert pool.unready(["tiny/mt5"]) == []
    with pytest.raises(ModelUnavailable, match="tiny/mt5"):
        pool.load("tiny/mt5")
    [reason] = pool.unready(["tiny/mt5"])
    assert reason == "tiny/mt5 could not be loaded: its folder has no config.json"
    assert str(folder) in caplog.text, "who keeps the server reads where"
    (folder / "config.away").rename(folder / "config.json")
    pool.load("tiny/mt5")
    assert pool.unready(["tiny/mt5"]) == []
    pool.close()


@pytest.mark.parametrize("stage", [LOADING, READY])
def test_a_load_that_cannot_be_told_is_tried_again_and_leaves_no_engine(
    tiny_hub, languages, monkeypatch, stage
):
    pool = _pool(tiny_hub, languages, "marian")
    tell, untold = pool.load_progress.tell, [stage]

    def told(name, now):
        if now in untold:
            untold.clear()
            raise OSError("no room")
        tell(name, now)

    monkeypatch.setattr(pool.load_progress, "tell", told)
    made, make = [], pool.engines.make
    monkeypatch.setattr(pool.engines, "make", lambda entry: made.append(make(entry)) or made[-1])
    with pytest.raises(OSError, match="no room"):
        pool.load("tiny/marian")
    assert not any(each.stats().ready for each in made)
    pool.load("tiny/marian")
    assert made[-1].stats().ready
    pool.close()


def test_a_broken_conversion_is_no_bug_of_the_callers(tiny_hub, languages, monkeypatch):
    pool = _pool(tiny_hub, languages, "pegasus")
    model = tiny_hub.store.ct2_folder(pool.catalog.get("tiny/pegasus")) / "model.bin"
    whole = model.read_bytes()
    monkeypatch.setattr(PreparedFolder, "_compare", lambda *_, **__: ([], False))  # or it would be made anew
    model.write_bytes(whole[:1000])
    with pytest.raises(ModelUnavailable, match="cannot be loaded here") as wrong:
        pool.load("tiny/pegasus")
    assert str(tiny_hub.folder) not in wrong.value.message
    model.write_bytes(whole)
    pool.close()


def test_batches_are_reported_by_model(tiny_hub, languages):
    heard = []
    pool = _pool(tiny_hub, languages, "marian", on_batch=lambda *told: heard.append(told))
    with pool.use(pool.catalog.get("tiny/marian")) as model:
        purpose = Purpose("translate", "en", "fr")
        decoding = model.codec.decoding(purpose, max_new_tokens=8)
        ids = model.codec.encode("Talks.", purpose)
        model.engine.submit([Generation(ids, decoding)])[0].result(30)
    pool.close()
    assert [(name, record.size) for name, record in heard] == [("tiny/marian", 1)]


SEQ2SEQ = ["bart", "pegasus", "t5", "flan-t5", "mt5", "marian", "m2m100", "nllb", "mbart50"]


def _tokens(pool, kind, num_beams):
    """What a model of the pool writes for three sentences."""
    with pool.use(pool.catalog.get(f"tiny/{kind}")) as model:
        task = model.entry.tasks[-1]
        purpose = Purpose(task, "en", "fr" if task == "translate" else None)
        decoding = replace(model.codec.decoding(purpose, max_new_tokens=12), num_beams=num_beams)
        sources = [model.codec.encode(text, purpose) for text in SENTENCES[:3]]
        futures = model.engine.submit([Generation(ids, decoding) for ids in sources])
        return [future.result(60).token_ids for future in futures]


@pytest.mark.parametrize("kind", SEQ2SEQ)
def test_the_native_engine_writes_what_generate_writes(tiny_hub, languages, kind):
    pools = [_pool(tiny_hub, languages, kind, choice=choice) for choice in ("native", "generate")]
    for num_beams in (1, 4):
        native, plain = (_tokens(pool, kind, num_beams) for pool in pools)
        assert native == plain
    for pool in pools:
        pool.close()


@pytest.mark.parametrize(
    ("own", "entry", "widths"),
    [(5, {}, (5, 1)), (5, {"num_beams": 6}, (6, 1)), (1, {}, (1, 4)), (4, {}, (4, 1, 8))],
)
def test_the_native_engine_is_built_for_the_beams_that_the_codec_asks_for(
    tiny_hub, languages, own, entry, widths, tmp_path
):
    """Widths that were not foreseen are neither tried nor captured when a model is loaded on a GPU."""
    shutil.copytree(tiny_hub.entry("bart").path, tmp_path / "m")
    config = tmp_path / "m" / "generation_config.json"
    config.write_text(json.dumps(json.loads(config.read_text("utf-8")) | {"num_beams": own}), "utf-8")
    catalog = tiny_hub.catalog("bart", path=str(tmp_path / "m"), decoding=entry)
    maker = EngineMaker(tiny_hub.store, device="cpu", choice="native")
    pool = ModelPool(catalog, tiny_hub.store, languages, maker)
    with pool.use(catalog.get("tiny/bart")) as model:
        assert isinstance(model.engine, NativeEngine)
        assert model.engine.limits.beam_widths == widths
        assert model.codec.decoding(Purpose("summarize", "en"), max_new_tokens=8).num_beams == widths[0]
    pool.close()
