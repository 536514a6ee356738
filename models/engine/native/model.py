"""A model as the engine runs it: sources through the encoder, one step of the decoder for a batch of rows.

One lean decoder for the BART family (BART, mBART, Pegasus, Marian, M2M100/NLLB), one for T5's. Both are the
same three sublayers a layer; what differs is the embedding, the norms' place and kind, the feed-forward and
the head. They read the weights of transformers' modules, which become views of theirs: projections side by
side, an aligned head. Knows nothing of search, slots' lives or graphs.
"""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import NewGELUActivation

from models.engine.native.attention import Batch, Norm
from models.engine.native.scheduler import Request
from models.engine.native.search import host_tensor, to_device
from models.errors import ModelUnavailable
from models.families import FAMILIES, of_model_type

MAX_BATCH_TOKENS = 16384
"""Of the sources that are encoded together, with their padding."""


@dataclass(frozen=True, slots=True)
class Linear:
    """One matrix product, of one projection or of several side by side."""

    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    @classmethod
    def side_by_side(cls, *modules: nn.Linear) -> "Linear":
        """The modules' outputs concatenated; the modules' weights become views, so nothing is held twice."""
        if len(modules) == 1:
            return cls(modules[0].weight.data, modules[0].bias)
        weight = torch.cat([module.weight.data for module in modules])
        start = 0
        for module in modules:
            module.weight.data = weight[start : start + module.out_features]
            start += module.out_features
        biases = [module.bias.data for module in modules if module.bias is not None]
        return cls(weight, torch.cat(biases) if biases else None)


class Head:
    """The product with the vocabulary, its rows padded so that each row of logits starts aligned.

    Marian's 58,101 words would send the largest product of a step to the GPU's slow, unaligned kernels.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None):
        self._vocabulary = weight.shape[0]
        missing = -self._vocabulary % 64
        if missing:
            weight = F.pad(weight, (0, 0, 0, missing))
            bias = None if bias is None else F.pad(bias, (0, missing))
        self._linear = Linear(weight, bias)

    def __call__(self, hidden: Tensor) -> Tensor:
        return self._linear(hidden)[:, : self._vocabulary]


@dataclass(frozen=True, slots=True)
class Layer:
    """A decoder layer's weights; the norms in the order of the sublayers."""

    self_qkv: Linear
    self_out: Linear
    cross_query: Linear
    cross_kv: Linear
    cross_out: Linear
    feed_forward: Callable[[Tensor], Tensor]
    norms: tuple[Norm, Norm, Norm]


def norm_of(module: Any) -> Norm:
    """A layer norm of PyTorch, or T5's."""
    if isinstance(module, nn.LayerNorm):
        return Norm(module.weight.data, module.bias.data, module.eps)
    return Norm(module.weight.data, None, module.variance_epsilon, rms=True)


class Decoder(ABC):
    """The part that all decoders share: the layers' loop and the caches' shapes.

    `ops` is the module `kernels` or `attention`.
    """

    layers: list[Layer]
    pre_norm: bool
    num_heads: int
    head_width: int
    scale: float
    final_norm: Norm
    """After the last layer, where norms come first."""
    bias_by_distance: Tensor | None
    vocabulary: int

    def __init__(self, ops: Any):
        self._ops = ops

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

    def __init__(self, model: Any, ops: Any):
        super().__init__(ops)
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

    def __init__(self, model: Any, ops: Any, max_new_tokens: int):
        super().__init__(ops)
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


def activation_of(module: Any) -> Callable[[Tensor], Tensor]:
    """The activation; transformers' approximate GELU, eight launches, as PyTorch's one."""
    return partial(F.gelu, approximate="tanh") if isinstance(module, NewGELUActivation) else module


def _t5_feed_forward(dense: Any, gated: bool) -> Callable[[Tensor], Tensor]:
    activation, down = activation_of(dense.act), Linear.side_by_side(dense.wo)
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


def decoder_of(model: Any, ops: Any, max_new_tokens: int) -> Decoder:
    """The lean decoder for a loaded transformers model; ModelUnavailable for other architectures."""
    kind = model.config.model_type
    family = of_model_type(kind)
    match family and family.decoder:
        case "t5":
            return T5FamilyDecoder(model, ops, max_new_tokens)
        case "bart":
            return BartFamilyDecoder(model, ops)
    known = sorted({each for row in FAMILIES.values() if row.decoder for each in row.model_types})
    raise ModelUnavailable(f"the native engine has no decoder for {kind} models", allowed=known)


def start_token_id(model: Any) -> int:
    """The token that the model's decoder begins with."""
    start = model.generation_config.decoder_start_token_id
    return int(model.config.decoder_start_token_id if start is None else start)


def end_token_ids(model: Any) -> tuple[int, ...]:
    """The tokens that end the model's outputs."""
    end = model.generation_config.eos_token_id
    return () if end is None else tuple(end) if isinstance(end, list) else (end,)


@cache
def _clamping(kind: Any) -> Any:
    """A kind of encoder layer of transformers, BART's or Marian's, for float16.

    Theirs asks whether a number has overflowed before it clamps, and for that the host waits for the GPU.
    """

    if kind.__name__ == "Clamping":  # an engine that starts again has the same model
        return kind

    class Clamping(kind):  # type: ignore[misc]
        def forward(self, hidden_states: Tensor, attention_mask: Tensor | None, **more: Any) -> Tensor:
            update, _ = self.self_attn(hidden_states=hidden_states, attention_mask=attention_mask, **more)
            hidden = self.self_attn_layer_norm(hidden_states + update)
            hidden = self.final_layer_norm(hidden + self.fc2(self.activation_fn(self.fc1(hidden))))
            most = torch.finfo(hidden.dtype).max - 1000
            return hidden.clamp(-most, most)  # type: ignore[no-any-return]

    return Clamping


class Encoder:
    """Sources through transformers' encoder into the cross cache [layers, 2, slots, H, S, D].

    Batches are sorted by length and bounded in tokens, so that little is padding and running requests do not
    wait long.
    """

    def __init__(self, model: Any, decoder: Decoder, cross_cache: Tensor):
        if cross_cache.is_cuda:
            # cuDNN makes a plan for each new shape, and almost every batch of sources has one. Left: flash,
            # efficient and plain attention; for the whole process, as PyTorch's choice is.
            torch.backends.cuda.enable_cudnn_sdp(False)
        self._encode = model.get_encoder()
        if model.dtype == torch.float16 and model.config.model_type in ("bart", "marian"):
            for layer in self._encode.layers:
                layer.__class__ = _clamping(layer.__class__)
        self._decoder = decoder
        self._cache = cross_cache
        self._has_bias = hasattr(model.config, "relative_attention_num_buckets")
        """Of distances, as T5's: it is added as a mask is."""
        self._padding = model.config.pad_token_id or 0
        self.max_batch_tokens = MAX_BATCH_TOKENS
        """Padding counted in; halved when the device's memory does not suffice."""

    def encode(self, sources: Sequence[Request]) -> dict[int, Exception]:
        """Encode all sources; returns the slots whose source could not be encoded, and why.

        A batch that fails is halved until the source at fault stands alone.
        """
        failed: dict[int, Exception] = {}
        groups = list(self._groups(sources))[::-1]
        while groups:
            group = groups.pop()
            error = self._error_of(group)
            if error is None:
                continue
            if len(group) == 1:
                failed[group[0].place.slot] = error
                continue
            if isinstance(error, torch.OutOfMemoryError):
                self.max_batch_tokens = max(1, len(group) * _length(group[0]) // 2)
                if self._cache.is_cuda:
                    torch.cuda.empty_cache()
            middle = len(group) // 2
            groups += [group[middle:], group[:middle]]
        return failed

    def _groups(self, sources: Sequence[Request]) -> Iterator[list[Request]]:
        """The longest sources first, as many as `max_batch_tokens` allows together."""
        left = sorted(sources, key=_length, reverse=True)
        while left:
            most = max(1, self.max_batch_tokens // _length(left[0]))
            yield left[:most]
            left = left[most:]

    def _error_of(self, group: Sequence[Request]) -> Exception | None:
        """Encode the group; what went wrong, without the frames that hold on to the device's memory."""
        try:
            ids, mask = self._padded(group)
            slots = to_device(host_tensor(source.place.slot for source in group), self._cache.device).long()
            encoded = self._encode(input_ids=ids, attention_mask=mask).last_hidden_state
            for index, cache in enumerate(self._cache):
                fresh = self._decoder.cross_keys_values(index, encoded)
                cache[:, :, :, : ids.shape[1]].index_copy_(1, slots, fresh)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must hit the source at fault alone
            return error.with_traceback(None)
        return None

    def _padded(self, group: Sequence[Request]) -> tuple[Tensor, Tensor | None]:
        """Ids [b, s], and where some of them are padding an additive mask [b, 1, s, s].

        Four dimensions, because transformers inspects a mask of two, and the host would wait for the device.
        """
        longest = _length(group[0])
        if self._cache.is_cuda and (longest != _length(group[-1]) or (self._has_bias and len(group) > 1)):
            # Fused attention with a mask or a bias wants lengths in steps of 8. Equal lengths need no mask.
            longest = min(-(-longest // 8) * 8, self._cache.shape[4])
        together = array("i")
        for source in group:
            together.extend(source.generation.source_ids)
        lengths = host_tensor(_length(source) for source in group)
        there = torch.arange(longest) < lengths[:, None]
        flat = torch.frombuffer(together, dtype=torch.int32).long()
        ids = torch.full(there.shape, self._padding).masked_scatter_(there, flat)
        device, dtype = self._cache.device, self._cache.dtype
        if len(together) == ids.numel():
            return to_device(ids, device), None
        mask = torch.zeros(there.shape, dtype=dtype).masked_fill_(~there, torch.finfo(dtype).min)
        return to_device(ids, device), to_device(mask, device)[:, None, None].expand(-1, 1, longest, -1)


def _length(source: Request) -> int:
    return len(source.generation.source_ids)
