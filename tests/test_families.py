"""Every family of the catalog: tiny models from a local folder, through the code of the real ones."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_models
from conftest import TinyHub
from hypothesis import given, settings
from hypothesis import strategies as st

from models.codec import Codec, Purpose, codec_of
from models.convert import to_ctranslate2
from models.engine.batching import Backend
from models.engine.ct2 import Ct2Backend
from models.engine.generate import GenerateBackend
from models.engine.protocol import Generation
from models.errors import UnsupportedLanguage
from models.languages import Languages

KINDS = sorted(tiny_models.MAKERS)


def _never(_: int) -> bool:
    return False


def _codec(tiny_hub: TinyHub, languages: Languages, kind: str) -> Codec:
    entry = tiny_hub.entry(kind)
    store = tiny_hub.store
    return codec_of(entry, store.tokenizer(entry), store.generation_config(entry), languages)


def _purpose(codec: Codec) -> Purpose:
    task = codec.entry.tasks[-1]
    return Purpose(task, "en", "fr" if task == "translate" else None, sentences=2)


def _backends(tiny_hub: TinyHub, codec: Codec, folder: Path) -> tuple[Backend, Backend]:
    """CTranslate2 in float32, and the plain one."""
    entry, store = codec.entry, tiny_hub.store
    causal = entry.kind == "causal"
    model = store.load(entry, dtype="float32")
    to_ctranslate2(model, store.tokenizer(entry), store.folder(entry), folder, quantization="float32")
    window = entry.max_source_tokens
    ct2 = Ct2Backend(folder, causal=causal, max_source_tokens=window, threads=1)
    plain = GenerateBackend(store.load(entry, dtype="float32"), causal=causal, max_source_tokens=window)
    return ct2, plain


@pytest.mark.parametrize("kind", KINDS)
def test_ctranslate2_writes_what_generate_writes(
    tiny_hub: TinyHub, languages: Languages, kind: str, tmp_path: Path
) -> None:
    codec = _codec(tiny_hub, languages, kind)
    purpose = _purpose(codec)
    ct2, plain = _backends(tiny_hub, codec, tmp_path)
    for beams in (1, 4):
        decoding = dataclasses.replace(codec.decoding(purpose, max_new_tokens=12), num_beams=beams)
        batch = [Generation(codec.encode(text, purpose), decoding) for text in tiny_models.SENTENCES[:3]]
        ours, theirs = ct2.run(batch, _never), plain.run(batch, _never)
        same = [a.token_ids == b.token_ids for a, b in zip(ours, theirs, strict=True)]
        # Beams end differently in the two libraries, so a near tie may fall the other way.
        assert all(same) if beams == 1 else sum(same) >= 2
        assert [o.finish for o in ours] == [o.finish for o in theirs] or beams > 1
        for one, other in zip(ours, theirs, strict=True):  # so that a confidence means the same everywhere
            assert one.score is not None
            same_score = one.score == pytest.approx(other.score, rel=0.1, abs=1e-2)
            assert one.token_ids != other.token_ids or same_score


@pytest.mark.parametrize("kind", KINDS)
def test_other_hypotheses_come_in_order_and_leave_the_first_as_it_is(
    tiny_hub: TinyHub, languages: Languages, kind: str, tmp_path: Path
) -> None:
    codec = _codec(tiny_hub, languages, kind)
    purpose = _purpose(codec)
    ct2, plain = _backends(tiny_hub, codec, tmp_path)
    one = dataclasses.replace(codec.decoding(purpose, max_new_tokens=12), num_beams=4)
    many = dataclasses.replace(one, num_return_sequences=3)
    sources = [codec.encode(text, purpose) for text in tiny_models.SENTENCES[:3]]
    found = []
    for backend in (ct2, plain):
        alone = backend.run([Generation(source, one) for source in sources], _never)
        outputs = backend.run([Generation(source, many) for source in sources], _never)
        assert [dataclasses.replace(output, others=()) for output in outputs] == alone
        for output in outputs:
            ranked = [output, *output.others]
            assert len({each.token_ids for each in ranked}) == 3
            assert [each.score for each in ranked] == sorted((o.score for o in ranked), reverse=True)
        found.append([[each.token_ids for each in (output, *output.others)] for output in outputs])
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_equals_its_items(tiny_hub: TinyHub, languages: Languages, kind: str, tmp_path: Path) -> None:
    codec = _codec(tiny_hub, languages, kind)
    purpose = _purpose(codec)
    decoding = codec.decoding(purpose, max_new_tokens=12)
    batch = [Generation(codec.encode(text, purpose), decoding) for text in tiny_models.SENTENCES[:3]]
    for backend in _backends(tiny_hub, codec, tmp_path):
        together = backend.run(batch, _never)
        alone = [backend.run([generation], _never)[0] for generation in batch]
        assert [o.token_ids for o in together] == [o.token_ids for o in alone]


@pytest.mark.parametrize("kind", KINDS)
def test_int8_runs_from_the_cache(tiny_hub: TinyHub, languages: Languages, kind: str) -> None:
    codec = _codec(tiny_hub, languages, kind)
    purpose = _purpose(codec)
    folder = tiny_hub.store.ct2_folder(codec.entry)
    before = (folder / "model.bin").stat().st_mtime_ns
    assert tiny_hub.store.ct2_folder(codec.entry) == folder
    assert (folder / "model.bin").stat().st_mtime_ns == before
    causal = codec.entry.kind == "causal"
    backend = Ct2Backend(folder, causal=causal, max_source_tokens=128, threads=1)
    decoding = codec.decoding(purpose, max_new_tokens=12, min_new_tokens=4)
    [output] = backend.run([Generation(codec.encode("The talks.", purpose), decoding)], _never)
    assert 3 <= len(output.token_ids) <= 12
    assert isinstance(codec.decode(output.token_ids), str)


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_in_a_text_are_mere_text(tiny_hub: TinyHub, languages: Languages, kind: str) -> None:
    codec = _codec(tiny_hub, languages, kind)
    purpose = _purpose(codec)
    special = set(codec.tokenizer.all_special_ids) - {codec.tokenizer.unk_token_id}
    around = codec.encode("", purpose)
    for token in ["</s>", "<pad>", "<|im_end|>", ">>fra<<"]:
        ids = codec.encode(f"They met {token} on Sunday.", purpose)
        assert sum(i in special for i in ids) == sum(i in special for i in around)


def test_language_tokens_stand_where_the_models_want_them(tiny_hub: TinyHub, languages: Languages) -> None:
    for kind, source, target in [
        ("m2m100", "__en__", "__fr__"),
        ("nllb", "eng_Latn", "fra_Latn"),
        ("mbart50", "en_XX", "fr_XX"),
    ]:
        codec = _codec(tiny_hub, languages, kind)
        purpose = Purpose("translate", "en", "fr")
        ids = codec.encode("The talks.", purpose)
        decoding = codec.decoding(purpose, max_new_tokens=8)
        assert codec.tokenizer.convert_ids_to_tokens(ids[0]) == source
        assert ids[-1] == codec.tokenizer.eos_token_id
        assert codec.tokenizer.convert_ids_to_tokens(decoding.forced_bos_token_id) == target
        with pytest.raises(UnsupportedLanguage):
            codec.encode("Text", Purpose("translate", "xx", "fr"))


def test_marian_models_for_several_targets_get_their_mark(languages: Languages, tmp_path: Path) -> None:
    hub = TinyHub(tmp_path, languages)
    (tmp_path / "marks").mkdir()
    raw = tiny_models.marian(tmp_path / "marks", marks=(">>fra<<", ">>spa<<"))
    hub._made["marian"] = {**raw, "path": str(tmp_path / "marks")}
    codec = _codec(hub, languages, "marian")
    first = [codec.encode("Talks", Purpose("translate", "en", target))[0] for target in ("fr", "es")]
    assert codec.tokenizer.convert_ids_to_tokens(first) == [">>fra<<", ">>spa<<"]
    with pytest.raises(UnsupportedLanguage, match="de"):
        codec.encode("Talks", Purpose("translate", "en", "de"))


def test_an_instruct_prompt_says_all(tiny_hub: TinyHub, languages: Languages) -> None:
    codec = _codec(tiny_hub, languages, "instruct")
    ids = codec.encode("The talks {failed}.", Purpose("summarize", "en", sentences=3))
    prompt = codec.tokenizer.decode(ids)
    assert prompt.startswith("<|im_start|>user\nSummarize in 3: The talks {failed}.<|im_end|>")
    assert prompt.endswith("<|im_start|>assistant\n")


@pytest.fixture(scope="module")
def completion_codec(tiny_hub: TinyHub, languages: Languages) -> Codec:
    return _codec(tiny_hub, languages, "completion")


@settings(max_examples=50, deadline=None)
@given(text=st.text(min_size=1, max_size=80))
def test_a_completion_prompt_keeps_the_text_on_its_line(completion_codec: Codec, text: str) -> None:
    ids = completion_codec.encode(text, Purpose("translate", "en", "fr"))
    assert completion_codec.tokenizer.decode(ids).count("\n") == 3


@pytest.mark.parametrize("kind", ["marian", "completion"])
def test_a_running_generation_stops_when_it_is_told(
    tiny_hub: TinyHub, languages: Languages, kind: str, tmp_path: Path
) -> None:
    codec = _codec(tiny_hub, languages, kind)
    purpose = _purpose(codec)
    decoding = codec.decoding(purpose, max_new_tokens=20, min_new_tokens=20)
    batch = [
        # An encoder-decoder's sentences are short: where nobody listens, none is asked for with each token.
        Generation(
            codec.encode(text, purpose), decoding, on_token=(lambda _: None) if kind == "marian" else None
        )
        for text in tiny_models.SENTENCES[:2]
    ]
    for backend in _backends(tiny_hub, codec, tmp_path):
        asked: list[int] = []

        def stopped(i: int, asked: list[int] = asked) -> bool:
            asked.append(i)
            return asked.count(i) > 2

        assert all(1 <= len(output.token_ids) <= 4 for output in backend.run(batch, stopped))


def test_marian_never_writes_padding_and_shares_out_its_probability(
    tiny_hub: TinyHub, languages: Languages
) -> None:
    """As the real models' generation_config.json asks since transformers took it out of Marian's code."""
    codec = _codec(tiny_hub, languages, "marian")
    decoding = codec.decoding(_purpose(codec), max_new_tokens=12)
    assert decoding.suppressed_token_ids == (codec.tokenizer.pad_token_id,)
    assert decoding.renormalize_logits


def test_only_pegasus_ends_sentences_with_a_mark(tiny_hub: TinyHub, languages: Languages) -> None:
    for kind, text in (("pegasus", "Talks. Trade."), ("bart", "Talks.<n>Trade.")):
        codec = _codec(tiny_hub, languages, kind)
        codec.tokenizer = SimpleNamespace(decode=lambda *_, **__: "Talks.<n>Trade.")
        assert codec.decode((7,)) == text
