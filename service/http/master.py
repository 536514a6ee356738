"""gunicorn's master, which starts the workers, and starts another one where one has ended.

It also keeps the process of the engines that they share: it outlives them all. It has no threads, since it
forks.
"""

from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from service.engine_supervisor import EngineSupervisor


class Master(Arbiter):  # type: ignore[misc]
    """The master. `keeper` is of the process that has the engines, if they are apart from the workers."""

    def __init__(self, app: BaseApplication, keeper: EngineSupervisor | None):
        self._keeper = keeper
        self._halting = False
        super().__init__(app)

    def manage_workers(self) -> None:
        """Called at every turn of the loop, once a second at least."""
        self._look()
        super().manage_workers()

    def reap_workers(self) -> None:
        """Called when a child has ended, and all the time while the workers finish."""
        self._look()  # gunicorn would take its exit code for nobody's
        try:
            super().reap_workers()
        except HaltServer:  # another one that could not begin: they are being ended already
            if not self._halting:
                raise

    def halt(self, *args: Any, **kwargs: Any) -> None:
        """Called at the end: stop the workers, and exit."""
        self._halting = True
        try:
            super().halt(*args, **kwargs)
        finally:
            if self._keeper is not None:
                self._keeper.close()

    def _unheard(self) -> None:
        """Take a signal that would change the number of workers, or start another master.

        What the workers share was made for their number; and a terminal sends two of these by itself, to a
        program in its background that reads or writes.
        """

    handle_ttin = handle_ttou = handle_usr2 = _unheard

    def _look(self) -> None:
        if self._keeper is not None:
            self._keeper.look()
