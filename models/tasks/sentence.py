"""A text that is translated in one go, in the forms in which a model is asked for it.

What is held (terms, inline code, addresses) goes through the model as a mask, or as the word itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from models.text.span import Span
from models.text.terms import Held, Masked, mask


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text that is translated in one go."""

    text: str
    held: tuple[Held, ...] = ()
    """In order, by their places in `text`."""
    stretches: tuple[Span, ...] = ()
    """Parts of it whose own translation is wanted as well, to find them again."""

    def masked(self) -> Masked:
        """Return it with masks for what is held."""
        return mask(self.text, self.held)

    def unmasked(self) -> Masked:
        """Return it with the held words' translations in it, rather than masks."""
        return Masked(self._with([(held.span, held.text) for held in self.held]), ("",) * len(self.held))

    def told(self, facts: Sequence[tuple[Span, str]]) -> Masked:
        """Return it with masks for what is held, and the facts in the forms that go with their places."""
        masks = self.masked().masks
        held = [(each.span, name or each.text) for each, name in zip(self.held, masks, strict=True)]
        return Masked(self._with(sorted([*held, *facts])), masks)

    def parts(self) -> list["Sentence"]:
        """Return each stretch as a sentence of its own."""
        return [Sentence(self.text[each.start : each.end], self._within(each)) for each in self.stretches]

    def _with(self, words: Sequence[tuple[Span, str]]) -> str:
        parts, end = [], 0
        for span, word in words:
            parts += [self.text[end : span.start], word]
            end = span.end
        return "".join([*parts, self.text[end:]])

    def _within(self, span: Span) -> tuple[Held, ...]:
        return tuple(
            replace(held, span=held.span.moved(-span.start))
            for held in self.held
            if held.span.is_within([span])
        )
