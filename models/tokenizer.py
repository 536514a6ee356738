"""A model's tokenizer without transformers, which would import torch (1.7 s, 0.25 GB).

`write_down` saves, once, the tokenizer that transformers built; `read_back` gives the same ids and texts with
the underlying libraries: tokenizers or, for Marian and M2M100, sentencepiece. Tokenizers that do more than
these libraries stay with transformers.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

VERSION = 1
"""Raised when tokenizers are written down differently, so that they are written anew."""

FACTS, RUST, PIECES = "tokenizer_facts.json", "tokenizer.json", "pieces.spm"

Form = Literal["rust", "marian", "m2m100"]


class Encoded(NamedTuple):
    """A text as token ids, under the name that transformers gives them."""

    input_ids: list[int]


class Tokenizer:
    """What codecs ask of any tokenizer; in names and answers as transformers has it.

    `decode` never cleans up spaces: a tokenizer that does so is not written down.
    """

    def __init__(self, facts: Mapping[str, Any]):
        self.all_special_tokens: list[str] = facts["special_tokens"]
        self.eos_token_id: int | None = facts["eos_token_id"]
        self.unk_token_id: int | None = facts["unk_token_id"]
        self._chat_template: str | None = facts["chat_template"]
        self._named_tokens: Mapping[str, Any] = facts["named_tokens"]

    def apply_chat_template(
        self, messages: list[dict[str, Any]], *, tokenize: bool = False, add_generation_prompt: bool = False
    ) -> str:
        """Return the conversation as the model's template writes it; this imports transformers, not torch."""
        from transformers.utils.chat_template_utils import render_jinja_template

        rendered: Any = render_jinja_template(
            conversations=[messages],
            chat_template=self._chat_template,
            add_generation_prompt=add_generation_prompt,
            **self._named_tokens,
        )
        return str(rendered[0][0])


class RustTokenizer(Tokenizer):
    """A tokenizer that is all in the library tokenizers."""

    def __init__(self, folder: Path, facts: Mapping[str, Any]):
        import tokenizers

        super().__init__(facts)
        self._rust = tokenizers.Tokenizer.from_file(str(folder / RUST))
        self._rust.no_padding()
        self._rust.no_truncation()

    def __call__(self, text: str, *, add_special_tokens: bool = True, verbose: bool = False) -> Encoded:
        return Encoded(self._rust.encode(text, add_special_tokens=add_special_tokens).ids)

    def decode(
        self,
        ids: Sequence[int],
        *,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool = False,
    ) -> str:
        return str(self._rust.decode(list(ids), skip_special_tokens=skip_special_tokens))

    def get_vocab(self) -> dict[str, int]:
        return dict(self._rust.get_vocab())

    def convert_tokens_to_ids(self, token: str) -> int | None:
        found: int | None = self._rust.token_to_id(token)
        return self.unk_token_id if found is None else found


class PieceTokenizer(Tokenizer):
    """Marian's or M2M100's: sentencepiece cuts the text, and a vocabulary of its own numbers the pieces."""

    def __init__(self, folder: Path, facts: Mapping[str, Any]):
        from sentencepiece import SentencePieceProcessor

        super().__init__(facts)
        self._marian = facts["form"] == "marian"
        self._pieces = SentencePieceProcessor(model_file=str(folder / PIECES))
        self._ids: dict[str, int] = facts["vocabulary"]
        self._tokens = {i: token for token, i in self._ids.items()}
        self._before, self._after = facts["before"], facts["after"]
        self._special = set(self.all_special_tokens)

    def __call__(self, text: str, *, add_special_tokens: bool = True, verbose: bool = False) -> Encoded:
        mark = ""
        if self._marian and text.startswith(">>") and "<<" in text:  # the target's, which is one token
            mark, text = text[: text.index("<<") + 2], text[text.index("<<") + 2 :]
        tokens = [*([mark] if mark else []), *self._pieces.encode(text, out_type=str)]
        ids = [self._ids.get(token, self._ids[self._unknown]) for token in tokens]
        return Encoded([*self._before, *ids, *self._after] if add_special_tokens else ids)

    def decode(
        self,
        ids: Sequence[int],
        *,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool = False,
    ) -> str:
        text, pieces = "", list[str]()
        skipped = {self._ids[token] for token in self._special} if skip_special_tokens else set()
        for token in (self._tokens.get(i, self._unknown) for i in ids if i not in skipped):
            if token in self._special:
                text += self._pieces.decode(pieces) + token + (" " if self._marian else "")
                pieces = []
            else:
                pieces.append(token)
        text += self._pieces.decode(pieces)
        return str(text.replace("▁", " ") if self._marian else text).strip()

    def get_vocab(self) -> dict[str, int]:
        return dict(self._ids)

    def convert_tokens_to_ids(self, token: str) -> int | None:
        return self._ids.get(token, self.unk_token_id)

    @property
    def _unknown(self) -> str:
        return str(self._named_tokens["unk_token"])


# ------------------------------------------------------------------------------- once, with transformers


def write_down(tokenizer: Any, folder: Path) -> None:
    """Write what a tokenizer of transformers does into the folder; nothing if it does more than is known."""
    form = _form(tokenizer)
    if form is None:
        return
    facts = {
        "form": form,
        "special_tokens": tokenizer.all_special_tokens,
        "named_tokens": tokenizer.special_tokens_map,
        "eos_token_id": tokenizer.eos_token_id,
        "unk_token_id": tokenizer.unk_token_id,
        "chat_template": tokenizer.get_chat_template() if tokenizer.chat_template else None,
    }
    if form == "rust":
        tokenizer.backend_tokenizer.save(str(folder / RUST))
    else:
        pieces = tokenizer.spm_source if form == "marian" else tokenizer.sp_model
        (folder / PIECES).write_bytes(pieces.serialized_model_proto())
        around = tokenizer.build_inputs_with_special_tokens([-1])
        at = around.index(-1)
        vocabulary = tokenizer.get_vocab() | getattr(tokenizer, "lang_token_to_id", {})
        facts |= {"vocabulary": vocabulary, "before": around[:at], "after": around[at + 1 :]}
    (folder / FACTS).write_text(json.dumps(facts, ensure_ascii=False), "utf-8")


def read_back(folder: Path) -> RustTokenizer | PieceTokenizer | None:
    """Return the tokenizer that was written down; None if it was not, and transformers has to read it."""
    if not (folder / FACTS).is_file():
        return None
    facts = json.loads((folder / FACTS).read_text("utf-8"))
    return RustTokenizer(folder, facts) if facts["form"] == "rust" else PieceTokenizer(folder, facts)


def _form(tokenizer: Any) -> Form | None:
    """Return the form of a tokenizer; None if it does more than the libraries under it."""
    from transformers import M2M100Tokenizer, MarianTokenizer, PreTrainedTokenizerFast

    if tokenizer.split_special_tokens:
        return None
    if isinstance(tokenizer, PreTrainedTokenizerFast):
        own = ("__call__", "_encode_plus", "decode", "_decode", "convert_tokens_to_ids", "get_chat_template")
        same = all(getattr(type(tokenizer), each) is getattr(PreTrainedTokenizerFast, each) for each in own)
        cleans = tokenizer.clean_up_tokenization_spaces and tokenizer.chat_template
        return "rust" if same and not cleans else None
    plain = set(tokenizer.added_tokens_encoder) <= set(tokenizer.all_special_tokens)
    if not plain or getattr(tokenizer, "sp_model_kwargs", None):
        return None
    if type(tokenizer) is MarianTokenizer:
        return None if tokenizer.separate_vocabs else "marian"
    return "m2m100" if type(tokenizer) is M2M100Tokenizer else None
