"""A Marian of real size (61 million parameters) whose answers are known: it writes a cipher of what it reads.

Token t of the output is token t of the source; small words are swapped in pairs of equal length, and names,
numbers, stops and the end stay. So an output is as long as its source, ends by itself and is no echo: nobody
has reason to try again, to stop at a limit or to go on for ever. All matrices are dense and of opus-mt's
sizes, and the time that a step takes does not depend on their values.

How: the last decoder layer's cross-attention has queries and keys that read positions alone, so that step t
attends to source token t, and values that copy the token's own dimensions, some as they are and some with the
sign turned; two tokens that are swapped have opposite embeddings. Everything else is small noise. Words are
made of syllables, and the vocabulary of these words: nothing is downloaded, and no corpus is needed.
"""

import json
import random
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import sentencepiece
import torch
from sentencepiece import sentencepiece_model_pb2 as proto
from transformers import MarianConfig, MarianMTModel

VOCABULARY = 32_000
NAMES, NUMBERS = 1_500, 900
STOPS = (".", ",", "?", "!", ":", ";")
D, LAYERS, FFN, HEADS = 512, 6, 2048, 8

POSITION = [*range(64), *range(256, 320)]
MEAN = [*range(240, 256)]
"""Slow sines, about 0, and 0 in every token: what layer norms took off stands there."""
TOKEN_SIZE = 4.0  # of an embedding's entries after their scaling by sqrt(D), beside positions of 0.7
SHARPNESS, GAIN, TEMPERATURE = 13.0, 6.0, 0.18
"""Scores of the attention lie within 87 of each other: beyond, exp() gives denormals, which are slow."""


@dataclass(frozen=True, slots=True)
class Words:
    """The made-up language: its small words, its names and its numbers."""

    small: list[str]
    names: list[str]
    numbers: list[str]

    @classmethod
    def make(cls) -> "Words":
        """Return the same words each time."""
        rng = random.Random(0)
        syllables = ["".join(pair) for pair in product("bdfgklmnprstvz", "aeiou")]
        short = ["".join(two) for two in product(syllables, repeat=2)]
        long = ["".join(three) for three in product(syllables, repeat=3)]
        rng.shuffle(short)
        rng.shuffle(long)
        letters = 2 * 26
        many = VOCABULARY - 2 - NAMES - NUMBERS - len(STOPS) - 1 - letters
        small = short[:4000] + long[: many - 4000]
        names = [word.capitalize() for word in long[many : many + NAMES]]
        return cls(small, names, [str(number) for number in range(1001, 1001 + NUMBERS)])

    def sentence(self, rng: random.Random) -> str:
        """Return a sentence as long as those of news: 6 to 64 tokens, 28 on average."""
        count = min(62, max(4, round(rng.lognormvariate(3.2, 0.42))))
        words = [rng.choice(self.names)]
        while len(words) < count:
            kind = rng.random()
            if kind < 0.05:
                words.append(rng.choice(self.names))
            elif kind < 0.07:
                words.append(rng.choice(self.numbers))
            else:  # some words are frequent, as in any language
                words.append(self.small[int(len(self.small) * rng.random() ** 2)])
            if rng.random() < 0.05 and len(words) < count:
                words[-1] += ","
        return " ".join(words).rstrip(",") + "."


class Cipher:
    """Sentences, and what the model in `folder` should answer to each."""

    def __init__(self, folder: Path, count: int = 3000):
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
        self._other = json.loads((folder / "swaps.json").read_text("utf-8"))
        words, rng = Words.make(), random.Random(7)
        self.sentences = [words.sentence(rng) for _ in range(count)]

    def tokens(self, text: str) -> list[str]:
        return self.pieces.encode(text, out_type=str)

    def expected(self, text: str) -> str:
        """Return the model's answer to a sentence."""
        swapped = (self._other.get(piece, piece) for piece in self.tokens(text))
        return "".join(swapped).replace("▁", " ").strip()

    def wrong(self, sources: list[str], answer: str) -> int:
        """Return how many of these sentences a text lacks, at least 1 if it has more; spaces do not count."""
        found, at, missing = "".join(answer.split()), 0, 0
        wanted = ["".join(self.expected(source).split()) for source in sources]
        for each in wanted:
            place = found.find(each, at)
            missing += place < 0
            at = place + len(each) if place >= 0 else at
        return max(missing, int(found != "".join(wanted)))


def make(folder: Path, num_beams: int) -> None:
    """Write the model with its tokenizer into a folder, in transformers' layout."""
    folder.mkdir(parents=True, exist_ok=True)
    words = Words.make()
    spiece = _spiece(words)
    for side in ("source.spm", "target.spm"):
        (folder / side).write_bytes(spiece)
    tokens = ["</s>", "<unk>", *_pieces(words), "<pad>"]
    index = {token: i for i, token in enumerate(tokens)}
    swaps = {f"▁{a}": f"▁{b}" for a, b in _pairs(words.small)}
    (folder / "swaps.json").write_text(json.dumps(swaps | {b: a for a, b in swaps.items()}))
    (folder / "vocab.json").write_text(json.dumps(index, ensure_ascii=False), "utf-8")
    settings = {
        "tokenizer_class": "MarianTokenizer",
        "source_lang": "en",
        "target_lang": "fr",
        "model_max_length": 512,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    model = _model(len(tokens), [(index[a], index[b]) for a, b in swaps.items()])
    model.generation_config.num_beams = num_beams
    model.save_pretrained(folder)


def _pairs(words: list[str]) -> list[tuple[str, str]]:
    by_length: dict[int, list[str]] = {}
    for word in words:
        by_length.setdefault(len(word), []).append(word)
    return [pair for group in by_length.values() for pair in zip(group[::2], group[1::2], strict=False)]


def _pieces(words: Words) -> list[str]:
    letters = [letter for i in range(26) for letter in (chr(ord("a") + i), chr(ord("A") + i))]
    return [*(f"▁{w}" for w in (*words.small, *words.names, *words.numbers)), *STOPS, "▁", *letters]


def _spiece(words: Words) -> bytes:
    model = proto.ModelProto()
    model.trainer_spec.model_type = proto.TrainerSpec.UNIGRAM
    model.trainer_spec.vocab_size = VOCABULARY - 1
    model.trainer_spec.unk_id, model.trainer_spec.eos_id = 0, 1
    model.trainer_spec.bos_id = model.trainer_spec.pad_id = -1
    model.normalizer_spec.name = "identity"
    model.pieces.add(piece="<unk>", score=0, type=proto.ModelProto.SentencePiece.UNKNOWN)
    model.pieces.add(piece="</s>", score=0, type=proto.ModelProto.SentencePiece.CONTROL)
    for piece in _pieces(words):
        model.pieces.add(piece=piece, score=-10 if len(piece) > 1 or piece in STOPS else -20)
    return model.SerializeToString()


@torch.no_grad()
def _model(size: int, pairs: list[tuple[int, int]]) -> MarianMTModel:
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=size,
        decoder_vocab_size=size,
        d_model=D,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_ffn_dim=FFN,
        decoder_ffn_dim=FFN,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        max_position_embeddings=512,
        scale_embedding=True,
        activation_function="swish",
        init_std=0.02,
        share_encoder_decoder_embeddings=True,
        eos_token_id=0,
        bos_token_id=0,
        forced_eos_token_id=0,
        pad_token_id=size - 1,
        decoder_start_token_id=size - 1,
    )
    model = MarianMTModel(config).eval()
    for name, weight in model.named_parameters():
        if name.endswith(("out_proj.weight", "fc2.weight")):
            weight.normal_(0, 0.0003)  # it is added to the stream
        elif name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight", "fc1.weight")):
            weight.normal_(0, 0.02)
    content = [d for d in range(D) if d not in {*POSITION, *MEAN}]
    random.Random(1).shuffle(content)
    kept, swapped = sorted(content[:120]), sorted(content[120:])
    model.model.shared.weight.copy_(_embeddings(size, pairs, kept, swapped))
    _copy_by_position(model.model.decoder.layers[-1], kept, swapped)
    model.generation_config.update(
        max_length=512,
        bad_words_ids=[[size - 1]],
        renormalize_logits=True,
        pad_token_id=size - 1,
        eos_token_id=0,
        bos_token_id=0,
        decoder_start_token_id=size - 1,
        forced_eos_token_id=0,
    )
    return model


def _embeddings(size: int, pairs: list[tuple[int, int]], kept: list[int], swapped: list[int]) -> torch.Tensor:
    table = torch.zeros(size, D)
    norm = TOKEN_SIZE / D**0.5 * (len(kept) + len(swapped)) ** 0.5
    first = [min(pair) for pair in pairs]
    paired = {each for pair in pairs for each in pair}
    for dimensions, ids in ((kept, [i for i in range(size) if i not in paired]), (swapped, first)):
        rows = torch.randn(len(ids), len(dimensions))
        rows -= rows.mean(1, keepdim=True)
        rows *= norm / rows.norm(dim=1, keepdim=True)
        table[torch.tensor(ids)[:, None], torch.tensor(dimensions)] = rows
    for a, b in pairs:
        table[max(a, b)] = -table[min(a, b)]
    table[size - 1] = 0
    return table


def _copy_by_position(layer: torch.nn.Module, kept: list[int], swapped: list[int]) -> None:
    """Have a decoder layer's cross-attention read at step t the source's token t."""
    cross, width = layer.encoder_attn, D // HEADS
    frequencies = list(range(0, 64, 2))
    columns = frequencies + [256 + k for k in frequencies]  # sine and cosine, one head's size together
    for projection in (cross.q_proj, cross.k_proj):
        for head, (row, column) in product(range(HEADS), enumerate(columns)):
            at = projection.weight[head * width + row]
            at *= 0.1
            at[column] = SHARPNESS
            at[MEAN] = -SHARPNESS / len(MEAN)
    value = torch.zeros(D)
    value[kept], value[swapped] = 1.0, -1.0
    cross.v_proj.weight.mul_(0.1).add_(torch.diag(value))
    cross.out_proj.weight.add_(GAIN * torch.eye(D))
    layer.final_layer_norm.weight.fill_(TEMPERATURE)
