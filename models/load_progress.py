"""How far models are that are being loaded, and how that ended.

Imports nothing: a server's first process has it.
"""

LOADING = "loading"
READY = "ready"


class LoadProgress:
    """The stage of each model, by name: `loading`, `downloading 41%`, `ready`; and why some failed to load.

    Threads may share it. To share it between processes, override all methods.
    """

    def __init__(self) -> None:
        self._stages: dict[str, str] = {}
        self._failures: dict[str, str] = {}

    def tell(self, model: str, stage: str | None) -> None:
        """Set a model's stage in this process; None once it is unloaded."""
        if stage is None:
            self._stages.pop(model, None)
        else:
            self._stages[model] = stage

    def stages(self) -> dict[str, str]:
        """Return the stage of each model that is loaded or being loaded."""
        return dict(self._stages)

    def fail(self, model: str, why: str | None) -> None:
        """Set why a model failed to load; None if it loaded."""
        if why is None:
            self._failures.pop(model, None)
        else:
            self._failures[model] = why

    def failures(self) -> dict[str, str]:
        """Return why models failed at their last load."""
        return dict(self._failures)
