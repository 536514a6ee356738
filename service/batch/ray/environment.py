"""What Ray reads from the environment when it is imported, so this comes before everything else of it."""

import os
import secrets

from service.batch.extra import needed

QUIET = {
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}

LOCAL = {
    "RAY_AUTH_MODE": "token",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}
"""For a Ray of this process alone: who lacks its token is turned away, and whatever the system, it is on the
loopback address only, as Ray does by itself where it has no clusters."""


def prepare(*, local: bool) -> None:
    """Set Ray up to be silent, and `local` or not, and import it. Raises MissingExtra."""
    settings = QUIET | (LOCAL | {"RAY_AUTH_TOKEN": secrets.token_hex(32)} if local else {})
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    needed("ray", what="--engine ray", extra="ray")
