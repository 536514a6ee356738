"""Continuous batching for encoder-decoders: token ids in, token ids out.

`engine` takes requests and keeps a thread alive that runs `loop`; the loop asks `scheduler` (and `slots`) who
runs, and has `runner` do it on the device: `encoder`, then steps of `decoder` (`layers`, `attention`) and
`search` (`state`), replayed by `graphs`. `kernels`, `vocabulary_kernels`, `beam_kernels` and `search_kernels`
are the same in Triton. `checks` and `memory` say what fits.

Imports torch, guarded triton and transformers; of this project only the protocol, the errors, the table of
families, for their decoders, and what has to stay free on a card.
"""

from models.engine.seq2seq.engine import Seq2SeqEngine

__all__ = ["Seq2SeqEngine"]
