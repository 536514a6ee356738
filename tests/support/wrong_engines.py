"""Native engines that are wrong on purpose, for their trial."""

import dataclasses

from models.engine.native import attention, search


def wrong_slot(monkeypatch):
    """Cross-attention to the neighbour's source."""
    right = attention.cross_attention

    def wrong(query, cache, batch, scale):
        return right(query, cache, dataclasses.replace(batch, active=batch.active.roll(1)), scale)

    monkeypatch.setattr(attention, "cross_attention", wrong)


def raising(monkeypatch):
    """The device gives up."""

    def wrong(*_):
        raise RuntimeError("device lost")

    monkeypatch.setattr(search, "advance", wrong)
