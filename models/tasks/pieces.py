"""The text of tokens that come one by one."""

from collections.abc import Callable

from models.tasks.steps import Words


class Pieces:
    """Token ids as they come, turned into pieces of text, each character once it is whole."""

    def __init__(self, decode: Callable[[tuple[int, ...]], str]):
        self._decode = decode
        self._ids: tuple[int, ...] = ()
        self._told = ""

    def add(self, token: int) -> Words | None:
        """Take the next token; returns None while it is only a part of a character."""
        self._ids += (token,)
        text = self._decode(self._ids)
        # A decoder may change what it said before; then the rest waits for the result.
        if text.endswith("\ufffd") or not text.startswith(self._told) or text == self._told:
            return None
        words = Words(text[len(self._told) :])
        self._told = text
        return words
