"""One step of a decoder for a batch of rows: tokens and positions in, logits out.

One lean decoder for the BART family (BART, mBART, Pegasus, Marian, M2M100/NLLB), one for T5's. Both are the
same three sublayers a layer; what differs is the embedding, the norms' place and kind, the feed-forward and
the head. Reads the weights of transformers' modules; knows nothing of search, slots' lives or graphs.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from models.engine.seq2seq import attention, kernels
from models.engine.seq2seq.attention import Batch, Norm
from models.engine.seq2seq.layers import Head, Layer, Linear, norm_of
from models.errors import ModelUnavailable
from models.families import FAMILIES, of_model_type


class Decoder(ABC):
    """The part that all decoders share: the layers' loop and the caches' shapes."""

    layers: list[Layer]
    pre_norm: bool
    num_heads: int
    head_width: int
    scale: float
    final_norm: Norm
    """After the last layer, where norms come first."""
    bias_by_distance: Tensor | None
    vocabulary: int

    def __init__(self, device: torch.device):
        # Triton where it can run, the same functions in PyTorch elsewhere.
        self._ops: Any = kernels if kernels.usable_on(device) else attention

    @abstractmethod
    def embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """The decoder's input [N, width]."""

    @abstractmethod
    def head(self, hidden: Tensor) -> Tensor:
        """Logits [N, vocabulary], perhaps with unused room after each row."""

    def cross_keys_values(self, layer: int, encoded: Tensor) -> Tensor:
        """[2, b, H, s, D] of the encoder's output [b, s, width]."""
        both = self.layers[layer].cross_kv(encoded)
        return both.view(*encoded.shape[:2], 2, self.num_heads, self.head_width).permute(2, 0, 3, 1, 4)

    def logits(self, tokens: Tensor, batch: Batch, self_cache: Tensor, cross_cache: Tensor) -> Tensor:
        """Logits [N, V] after the tokens [N]; their keys and values are stored in the self cache.

        Shapes: self cache [layers, 2, rows, T, H, D]; cross cache [layers, 2, slots, H, S, D].
        """
        residual = self.embed(tokens, batch.positions)
        normed = self.layers[0].norms[0](residual) if self.pre_norm else residual
        for index, layer in enumerate(self.layers):
            norms = self._norms_after(index)
            update = self._self(layer, normed, self_cache[index], batch)
            residual, normed = self._join(residual, update, norms[0])
            update = self._cross(layer, normed, cross_cache[index], batch)
            residual, normed = self._join(residual, update, norms[1])
            residual, normed = self._join(residual, layer.feed_forward(normed), norms[2])
        return self.head(normed)

    def _norms_after(self, index: int) -> tuple[Norm, Norm, Norm]:
        """The norm that follows each sublayer: its own, or where norms come first, the next one's."""
        norms = self.layers[index].norms
        if not self.pre_norm:
            return norms
        last = index + 1 == len(self.layers)
        return norms[1], norms[2], self.final_norm if last else self.layers[index + 1].norms[0]

    def _join(self, residual: Tensor, update: Tensor, norm: Norm) -> tuple[Tensor, Tensor]:
        summed, normed = self._ops.add_norm(residual, update, norm)
        return (summed if self.pre_norm else normed), normed

    def _self(self, layer: Layer, x: Tensor, cache: Tensor, batch: Batch) -> Tensor:
        qkv = layer.self_qkv(x).view(len(x), 3, self.num_heads, self.head_width)
        return layer.self_out(self._ops.self_attention(qkv, cache, batch, self.bias_by_distance, self.scale))

    def _cross(self, layer: Layer, x: Tensor, cache: Tensor, batch: Batch) -> Tensor:
        query = layer.cross_query(x).view(len(x), self.num_heads, self.head_width)
        return layer.cross_out(self._ops.cross_attention(query, cache, batch, self.scale))


class BartFamilyDecoder(Decoder):
    """BART and Marian (norm after each sublayer); mBART, Pegasus, M2M100 and NLLB (norm before)."""

    def __init__(self, model: Any, device: torch.device):
        super().__init__(device)
        decoder, config = model.get_decoder(), model.config
        self.num_heads = config.decoder_attention_heads
        self.head_width = config.d_model // self.num_heads
        self.scale = self.head_width**-0.5
        self.bias_by_distance = None
        self.vocabulary = model.lm_head.out_features
        self.layers = [self._layer(layer) for layer in decoder.layers]
        final_norm = getattr(decoder, "layer_norm", None)
        self.pre_norm = final_norm is not None
        if self.pre_norm:
            self.final_norm = norm_of(final_norm)
        embedding_norm = getattr(decoder, "layernorm_embedding", None)
        self._embedding_norm = norm_of(embedding_norm) if embedding_norm is not None else None
        self._embedding = decoder.embed_tokens.weight.data
        scaled = decoder if hasattr(decoder, "embed_scale") else decoder.embed_tokens
        self._embed_scale = float(getattr(scaled, "embed_scale", 1.0))
        self._padding = -1
        self._positions = self._position_table(decoder.embed_positions)
        logits_bias = getattr(model, "final_logits_bias", None)
        head_bias = None if logits_bias is None else logits_bias.data[0].to(self._embedding.dtype)
        self._head = Head(model.lm_head.weight.data, head_bias)

    def _position_table(self, module: Any) -> Tensor:
        """Position embeddings from position 0 on; M2M100 gives its padding token a vector of its own."""
        if hasattr(module, "weights"):
            self._padding = module.padding_idx
            self._padding_position = module.weights[self._padding]
            return module.weights[self._padding + 1 :].to(self._embedding)  # type: ignore[no-any-return]
        return module.weight.data[getattr(module, "offset", 0) :]  # type: ignore[no-any-return]

    @staticmethod
    def _layer(layer: Any) -> Layer:
        own, cross, activation = layer.self_attn, layer.encoder_attn, layer.activation_fn
        up, down = Linear.side_by_side(layer.fc1), Linear.side_by_side(layer.fc2)
        return Layer(
            self_qkv=Linear.side_by_side(own.q_proj, own.k_proj, own.v_proj),
            self_out=Linear.side_by_side(own.out_proj),
            cross_query=Linear.side_by_side(cross.q_proj),
            cross_kv=Linear.side_by_side(cross.k_proj, cross.v_proj),
            cross_out=Linear.side_by_side(cross.out_proj),
            feed_forward=lambda x: down(activation(up(x))),
            norms=(
                norm_of(layer.self_attn_layer_norm),
                norm_of(layer.encoder_attn_layer_norm),
                norm_of(layer.final_layer_norm),
            ),
        )

    def embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        position = F.embedding(positions, self._positions)
        if self._padding >= 0:
            position = torch.where((tokens == self._padding)[:, None], self._padding_position, position)
        hidden = F.embedding(tokens, self._embedding) * self._embed_scale + position
        return hidden if self._embedding_norm is None else self._embedding_norm(hidden)

    def head(self, hidden: Tensor) -> Tensor:
        return self._head(hidden)


class T5FamilyDecoder(Decoder):
    """T5, mT5 and Flan-T5: relative position bias, no scale in attention, gated activation where asked."""

    pre_norm = True

    def __init__(self, model: Any, device: torch.device, max_new_tokens: int):
        super().__init__(device)
        decoder, config = model.get_decoder(), model.config
        self.num_heads = config.num_heads
        self.head_width = config.d_kv
        self.scale = 1.0
        self.vocabulary = model.lm_head.out_features
        self.layers = [self._layer(block, config.is_gated_act) for block in decoder.block]
        self.final_norm = norm_of(decoder.final_layer_norm)
        self.bias_by_distance = _bias_by_distance(decoder.block[0].layer[0].SelfAttention, max_new_tokens)
        self._embedding = decoder.embed_tokens.weight.data
        self._head = Head(model.lm_head.weight.data, None)
        scaled = getattr(config, "scale_decoder_outputs", config.tie_word_embeddings)
        self._head_scale = config.d_model**-0.5 if scaled else 1.0

    @staticmethod
    def _layer(block: Any, gated: bool) -> Layer:
        own, cross, forward = block.layer[0], block.layer[1], block.layer[2]
        a, c = own.SelfAttention, cross.EncDecAttention
        return Layer(
            self_qkv=Linear.side_by_side(a.q, a.k, a.v),
            self_out=Linear.side_by_side(a.o),
            cross_query=Linear.side_by_side(c.q),
            cross_kv=Linear.side_by_side(c.k, c.v),
            cross_out=Linear.side_by_side(c.o),
            feed_forward=_t5_feed_forward(forward.DenseReluDense, gated),
            norms=(norm_of(own.layer_norm), norm_of(cross.layer_norm), norm_of(forward.layer_norm)),
        )

    def embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        return F.embedding(tokens, self._embedding)

    def head(self, hidden: Tensor) -> Tensor:
        return self._head(hidden * self._head_scale)


def _t5_feed_forward(dense: Any, gated: bool) -> Callable[[Tensor], Tensor]:
    activation, down = dense.act, Linear.side_by_side(dense.wo)
    if not gated:
        up = Linear.side_by_side(dense.wi)
        return lambda x: down(activation(up(x)))
    both = Linear.side_by_side(dense.wi_0, dense.wi_1)

    def feed_forward(x: Tensor) -> Tensor:
        gate, linear = both(x).chunk(2, -1)
        return down(activation(gate) * linear)

    return feed_forward


def _bias_by_distance(attention_module: Any, max_distance: int) -> Tensor:
    """[H, max_distance]: T5's bias for a key so many tokens back."""
    back = -torch.arange(max_distance, device=attention_module.relative_attention_bias.weight.device)
    bucket = attention_module._relative_position_bucket(
        back,
        bidirectional=False,
        num_buckets=attention_module.relative_attention_num_buckets,
        max_distance=attention_module.relative_attention_max_distance,
    )
    return attention_module.relative_attention_bias(bucket).detach().T.contiguous()  # type: ignore[no-any-return]


def decoder_of(model: Any, device: torch.device, max_new_tokens: int) -> Decoder:
    """The lean decoder for a loaded transformers model; ModelUnavailable for other architectures."""
    kind = model.config.model_type
    family = of_model_type(kind)
    match family and family.decoder:
        case "t5":
            return T5FamilyDecoder(model, device, max_new_tokens)
        case "bart":
            return BartFamilyDecoder(model, device)
    known = sorted({each for row in FAMILIES.values() if row.decoder for each in row.model_types})
    raise ModelUnavailable(f"the native engine has no decoder for {kind} models", allowed=known)
