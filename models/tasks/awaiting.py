"""A task's wait for models that are not loaded yet: in pauses, at which its driver looks at the deadline."""

from collections.abc import Sequence

from models.cooperative import Cooperative
from models.entry import ModelEntry
from models.errors import DeadlineExceeded, ModelLoading
from models.pool import ModelPool

PAUSE_S = 0.1


def until_loaded(pool: ModelPool, entries: Sequence[ModelEntry]) -> Cooperative[None]:
    """Wait until these models are loaded. Raises ModelUnavailable, and ModelLoading at the deadline."""
    for entry in entries:
        try:
            while not pool.is_ready(entry, wait_s=PAUSE_S):
                yield None
        except DeadlineExceeded as error:
            stage = pool.stages().get(entry.name, "loading")
            raise ModelLoading(f"{entry.name} is not ready yet ({stage}); try again later") from error
