"""Sets the environment variables that Ray reads when it is imported, and imports it."""

import os
import secrets

from service.errors import import_extra

QUIET = {
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}

LOCAL = {
    "RAY_AUTH_MODE": "token",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}
"""For a Ray of this process alone: it turns away callers without its token, and listens on the loopback
address only, on every system."""


def prepare(*, local: bool) -> None:
    """Import Ray, silent, and for this process alone if `local`. Raises MissingExtra."""
    settings = QUIET | (LOCAL | {"RAY_AUTH_TOKEN": secrets.token_hex(32)} if local else {})
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    import_extra("ray", what="--engine ray", extra="ray")
