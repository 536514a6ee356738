"""Which model an engine runs, by name and revision: what is remembered of one model is no other's."""

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from models.engine.protocol import Engine

if TYPE_CHECKING:
    from service.runtime import Runtime


class EngineNames:
    """Names of a runtime's engines. May be called from any thread."""

    def __init__(self, runtime: "Runtime"):
        self._runtime = runtime
        self._known: WeakKeyDictionary[Engine, str] = WeakKeyDictionary()

    def __call__(self, engine: Engine) -> str:
        name = self._known.get(engine)
        if name is None:
            entry = self._runtime.pool.owner(engine)
            name = "" if entry is None else f"{entry.name} {self._runtime.store.revision(entry)}"
            self._known[engine] = name
        return name
