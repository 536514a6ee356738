"""How far the loading of one model is, which a thread of its own does."""

import threading

LOADING = "loading"


class Loading:
    """The loading of a model, which a thread of its own does: how far it is, and how it ended."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.error: Exception | None = None
        self.stage = LOADING

    def tell(self, done: int, total: int) -> None:
        """Note how much of the model is fetched."""
        self.stage = LOADING if done >= total else f"downloading {100 * done // total}%"
