"""Tokenizers that were written down give the ids and the texts that transformers gives, for every family."""

import shutil

import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig

from models.catalog import ModelEntry
from models.codec import InstructCodec, Purpose, base_decoding, codec_of
from models.hf_import import load_tokenizer
from models.store import Store
from models.tokenizer import PieceTokenizer, RustTokenizer, read_back, write_down

PARTS = ["</s>", "<unk>", "<pad>", "<s>", ">>fra<<", "__fr__", "<2fr>", "<n>", "<extra_id_0>", "<|im_end|>"]
MARKS = ["▁", "  ", "\n", "\t", "é", "e\u0301", "ﬁ", "🙂", "ß", "'s", " .", ">>", "<<", "\u200b", "中"]
TEXTS = st.lists(
    st.one_of(st.sampled_from([*tiny_models.SENTENCES, *PARTS, *MARKS]), st.text(max_size=8)), max_size=5
).map("".join)
KINDS = [*tiny_models.MAKERS, "marian with marks"]


class Pair:
    """A tiny model's codec with transformers' tokenizer, and with the one that was written down."""

    def __init__(self, entry, store, languages, folder):
        original = load_tokenizer(entry, store.folder(entry))
        folder.mkdir()
        write_down(original, folder)
        again = read_back(folder)
        self.original, self.again, self.entry = original, again, entry
        config = store.generation_config(entry)
        self.codecs = [codec_of(entry, each, config, languages) for each in (original, again)]

    def both(self, asked):
        """Ask both; they must agree."""
        expected, found = (asked(codec) for codec in self.codecs)
        assert found == expected
        return found


@pytest.fixture(scope="module")
def pairs(tiny_hub, languages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizers")
    entries = {kind: tiny_hub.entry(kind) for kind in tiny_models.MAKERS}
    (folder / "marks").mkdir()
    fields = tiny_models.marian(folder / "marks", marks=(">>fra<<", ">>spa<<"))
    entries["marian with marks"] = ModelEntry(name="tiny/marks", path=folder / "marks", **fields)
    return {
        kind: Pair(entry, tiny_hub.store, languages, folder / kind.replace(" ", "-"))
        for kind, entry in entries.items()
    }


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(text=TEXTS, data=st.data())
def test_texts_and_ids_are_those_of_transformers(pairs, kind, text, data):
    pair = pairs[kind]
    task = pair.entry.tasks[0]
    purpose = Purpose(task, "en", "fr" if task == "translate" else None, sentences=2)
    ids = pair.both(lambda codec: codec.encode(text, purpose))
    most = max(pair.original.get_vocab().values())
    mixed = tuple(data.draw(st.lists(st.integers(0, most), max_size=12)))
    pair.both(lambda codec: codec.decode(ids))
    pair.both(lambda codec: codec.decode(mixed))
    pair.both(lambda codec: codec.tokenizer.decode(list(mixed)))
    pair.both(lambda codec: codec.tokenizer(codec._plain(text), verbose=False).input_ids)
    if isinstance(pair.codecs[0], InstructCodec):
        pair.both(lambda codec: codec.encode_messages([("system", text), ("user", text)]))


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_and_decoding_are_those_of_transformers(pairs, kind):
    pair = pairs[kind]
    expected, found = (codec.tokenizer.get_vocab() for codec in pair.codecs)
    assert expected.items() <= found.items(), "M2M100's own lacks its languages"
    for name in ("all_special_tokens", "eos_token_id", "unk_token_id"):
        pair.both(lambda codec, name=name: getattr(codec.tokenizer, name))
    for token in ("</s>", "▁the", "__fr__", "no such token"):
        pair.both(lambda codec, token=token: codec.tokenizer.convert_tokens_to_ids(token))
    config = GenerationConfig.from_pretrained(pair.entry.path, local_files_only=True)
    own = Store(pair.entry.path.parent).generation_config(pair.entry)
    assert base_decoding(pair.entry, own) == base_decoding(pair.entry, config)


def test_a_tokenizer_that_does_more_stays_with_transformers(tiny_hub, tmp_path):
    for kind, change in (
        ("bart", {"split_special_tokens": True}),
        ("marian", {"sp_model_kwargs": {"alpha": 1}}),
    ):
        entry = tiny_hub.entry(kind)
        tokenizer = load_tokenizer(entry, entry.path)
        for name, value in change.items():
            setattr(tokenizer, name, value)
        folder = tmp_path / kind
        folder.mkdir()
        write_down(tokenizer, folder)
        assert read_back(folder) is None


def test_a_tokenizer_is_written_down_once_and_anew_when_its_files_change(tiny_hub, tmp_path):
    entry = tiny_hub.entry("marian")
    shutil.copytree(entry.path, tmp_path / "m")
    entry, store = entry.model_copy(update={"path": tmp_path / "m"}), Store(tmp_path / "cache")
    first = store.plain_tokenizer(entry)
    assert isinstance(first, PieceTokenizer)
    assert isinstance(store.plain_tokenizer(tiny_hub.entry("t5")), RustTokenizer)
    vocabulary = tmp_path / "m" / "vocab.json"
    vocabulary.write_text(vocabulary.read_text("utf-8").replace('"<pad>"', '"<nil>"'), "utf-8")
    (tmp_path / "m" / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "MarianTokenizer", "pad_token": "<nil>"}'
    )
    assert "<nil>" in store.plain_tokenizer(entry).get_vocab()
