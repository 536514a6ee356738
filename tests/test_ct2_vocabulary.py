"""The tokens of a converted model, in one piece of memory."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engine.ct2 import TokenTable, read_tokens


@given(st.lists(st.text(st.characters())))
def test_each_id_has_its_token(tokens: list[str]) -> None:
    table = TokenTable(tokens)
    assert len(table) == len(tokens)
    assert list(table) == tokens
    for i in (-1, len(tokens)):
        with pytest.raises(IndexError):
            table[i]


def test_a_table_takes_a_fifth_of_the_memory_of_strings() -> None:
    tokens = [f"▁token{i}" for i in range(10_000)]
    table = TokenTable(tokens)
    taken = sum(map(sys.getsizeof, vars(table).values()))
    assert taken < sum(map(sys.getsizeof, tokens)) / 5


def test_a_side_has_its_own_file_or_the_shared_one(tmp_path: Path) -> None:
    (tmp_path / "shared_vocabulary.json").write_text(json.dumps(["<s>", "▁both"]), "utf-8")
    (tmp_path / "target_vocabulary.json").write_text(json.dumps(["</s>", "größer"]), "utf-8")
    assert list(read_tokens(tmp_path, "source")) == ["<s>", "▁both"]
    assert list(read_tokens(tmp_path, "target")) == ["</s>", "größer"]
    with pytest.raises(FileNotFoundError):
        read_tokens(tmp_path / "none", "source")
