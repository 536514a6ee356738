"""Continuous batching for encoder-decoders: token ids in, token ids out.

Imports torch, guarded triton and transformers; of this project only the protocol and the errors.
"""

from models.engine.seq2seq.engine import Seq2SeqEngine

__all__ = ["Seq2SeqEngine"]
