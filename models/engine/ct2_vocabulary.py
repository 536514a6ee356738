"""The tokens of a model that CTranslate2 runs: it speaks tokens rather than ids."""

import json
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path


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
