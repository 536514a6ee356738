"""How far the loading of models is, which threads of their own do, and how it ended."""

import threading
from collections.abc import Callable

LOADING = "loading"
READY = "ready"


class Board:
    """Tells how far models are, by name: `loading`, `downloading 41%`, `ready`; and why some cannot be had.

    Threads may share it. What several processes tell each other overrides all methods.
    """

    def __init__(self) -> None:
        self._stages: dict[str, str] = {}
        self._failures: dict[str, str] = {}

    def tell(self, model: str, stage: str | None) -> None:
        """Note how far a model is in this process; None if it is not there any more."""
        if stage is None:
            self._stages.pop(model, None)
        else:
            self._stages[model] = stage

    def stages(self) -> dict[str, str]:
        """Return how far the models are that are loaded, or being loaded."""
        return dict(self._stages)

    def fail(self, model: str, why: str | None) -> None:
        """Note why a model could not be loaded, or None if it could."""
        if why is None:
            self._failures.pop(model, None)
        else:
            self._failures[model] = why

    def failures(self) -> dict[str, str]:
        """Return why models could not be loaded when they were last tried."""
        return dict(self._failures)


class Loading:
    """The loading of a model. `told` hears of each of its stages."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self.done = threading.Event()
        self.error: Exception | None = None
        self._told = told
        self._stage = ""
        self._reach(LOADING)

    def tell(self, done: int, total: int) -> None:
        """Note how much of the model is fetched."""
        self._reach(LOADING if done >= total else f"downloading {100 * done // total}%")

    def _reach(self, stage: str) -> None:
        if stage != self._stage:
            self._stage = stage
            self._told(stage)
