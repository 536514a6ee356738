"""Checks that a generation fits the model and the engine's limits, before anything is queued.

Knows the limits as numbers; knows nothing of tensors, and never looks at what the tokens mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from models.engine.protocol import Decoding, Generation
from models.engine.seq2seq.memory import Limits
from models.engine.seq2seq.scheduler import Lane
from models.errors import InvalidInput

MAX_STOP_TOKENS = 4
MAX_SUPPRESSED_TOKENS = 64
MAX_NGRAM_SIZE = 8
MOST_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class RequestChecks:
    """Checks for one model in one engine.

    Its lanes are as many as the beam widths: all are captured when the engine starts, so no request brings a
    new one with it.
    """

    limits: Limits
    source_vocabulary: int
    target_vocabulary: int
    end_token_ids: tuple[int, ...]
    _sound: dict[Decoding, tuple[Lane, tuple[int, ...]]] = field(
        default_factory=dict, init=False, compare=False
    )
    """Decodings that were checked before."""

    def check(self, generation: Generation) -> tuple[Lane, tuple[int, ...]]:
        """Return the lane that this generation runs in, and the tokens that end it.

        Raises InvalidInput, with the field and what it may be, if it cannot run here.
        """
        source, decoding = generation.source_ids, generation.decoding
        _between("source_ids", len(source), 1, self.limits.max_source_tokens, what="number of source tokens")
        _all_below("source_ids", source, self.source_vocabulary)
        sound = self._sound.get(decoding)
        if sound is None:
            self._check_decoding(decoding)
            if len(self._sound) >= MOST_REMEMBERED:
                self._sound.clear()
            sound = self._sound[decoding] = self._lane(decoding.num_beams), self._stop_token_ids(decoding)
        if generation.on_token is not None and decoding.num_beams > 1:
            raise InvalidInput("tokens are streamed in greedy search only", field="num_beams", allowed="1")
        return sound

    def _check_decoding(self, decoding: Decoding) -> None:
        _between("max_new_tokens", decoding.max_new_tokens, 1, self.limits.max_new_tokens)
        _between("min_new_tokens", decoding.min_new_tokens, 0, decoding.max_new_tokens)
        if decoding.num_beams < 1:
            raise InvalidInput(f"num_beams is {decoding.num_beams}", field="num_beams", allowed="1 or more")
        _between("num_return_sequences", decoding.num_return_sequences, 1, decoding.num_beams)
        _between("no_repeat_ngram_size", decoding.no_repeat_ngram_size, 0, MAX_NGRAM_SIZE)
        self._check_token_lists(decoding)
        if not decoding.repetition_penalty > 0:
            raise InvalidInput(
                f"repetition_penalty is {decoding.repetition_penalty}",
                field="repetition_penalty",
                allowed="above 0",
            )

    def _check_token_lists(self, decoding: Decoding) -> None:
        stops = len(self._stop_token_ids(decoding))
        _between("stop_token_ids", stops, 0, self.limits.max_stop_tokens, what="number of tokens")
        suppressed = decoding.suppressed_token_ids
        _between("suppressed_token_ids", len(suppressed), 0, MAX_SUPPRESSED_TOKENS, what="number of tokens")
        _all_below("stop_token_ids", decoding.stop_token_ids, self.target_vocabulary)
        _all_below("suppressed_token_ids", suppressed, self.target_vocabulary)
        for name in ("forced_bos_token_id", "forced_eos_token_id"):
            token = getattr(decoding, name)
            if token is None:
                continue
            _all_below(name, (token,), self.target_vocabulary)
            if token in suppressed:
                raise InvalidInput(f"token {token} is both forced and suppressed", field=name)

    def _stop_token_ids(self, decoding: Decoding) -> tuple[int, ...]:
        return decoding.stop_token_ids or self.end_token_ids

    def lanes(self) -> list[Lane]:
        """All lanes of the engine."""
        return [self._lane(width) for width in self.limits.beam_widths]

    def _lane(self, wish: int) -> Lane:
        """The widest lane of the engine's that is no wider than this wish."""
        num_beams = max(width for width in self.limits.beam_widths if width <= wish)
        if num_beams == 1:
            return Lane(1, 1)  # the same token is the best either way
        # As many as transformers' beam search keeps where each stop token is used; more change nothing.
        return Lane(num_beams, max(2, 1 + self.limits.max_stop_tokens) * num_beams)


def _between(field: str, value: int, low: int, high: int, *, what: str | None = None) -> None:
    if not low <= value <= high:
        raise InvalidInput(f"{what or field} is {value}", field=field, allowed=f"{low} to {high}")


def _all_below(field: str, token_ids: Sequence[int], vocabulary: int) -> None:
    if token_ids and not (min(token_ids) >= 0 and max(token_ids) < vocabulary):
        wrong = next(token for token in token_ids if not 0 <= token < vocabulary)
        raise InvalidInput(
            f"token id {wrong} is not in the model's vocabulary",
            field=field,
            allowed=f"0 to {vocabulary - 1}",
        )
