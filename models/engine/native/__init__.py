"""Continuous batching for encoder-decoders: token ids in, token ids out.

`engine` asks `scheduler` who runs, and has `runner` do it on the device: a `model`'s encoder, then steps of
its decoder (`attention`) and of `search`, replayed from CUDA graphs. `kernels` are the same steps in Triton.
`limits` say what fits.

Imports torch, guarded triton and transformers; of this project only the protocol, the errors, the table of
families, for their decoders, and what has to stay free on a GPU.
"""

from models.engine.native.engine import NativeEngine

__all__ = ["NativeEngine"]
