"""Connects to Ray, this process's own or a cluster, and keeps it silent where results or progress go."""

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from io import TextIOBase
from pathlib import Path

import ray

from models.errors import DragomanError, InvalidInput

log = logging.getLogger(__name__)

LOCAL_STORE_BYTES = 512 * 2**20
"""For units and results on their way; the rest goes to disk."""

KNOCK_S = 10.0
"""What a cluster may take to accept a connection."""

SHOWN = 200
"""Characters of a line."""


class RayFailed(DragomanError):
    """Ray cannot be reached, or has given up."""


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to the Ray at `address`, or start one that ends with this context. One that is there is used.

    Raises InvalidInput and RayFailed.
    """
    if address is not None and address.startswith("ray://"):
        raise InvalidInput(
            "no cluster is used from outside; run the command on a machine of it, with `auto` or HOST:PORT",
            field="--ray-address",
        )
    own = not ray.is_initialized()
    with redirect_stdout(_Logged()):  # Ray writes there which workers and machines were lost
        if own:
            _connect(address)
        try:
            yield
        finally:
            if own:
                ray.shutdown()


def machines() -> list[Mapping[str, float]]:
    """Return the resources of each machine that is there now."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def answers() -> bool:
    """Tell whether Ray's head takes connections. A minute without it, and Ray ends this process silently."""
    try:
        _knock(ray.get_runtime_context().gcs_address)
    except OSError:
        return False
    return True


def _connect(address: str | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        if address not in (None, "auto"):
            _knock(address)
        with _mute():
            if address is None:
                ray.init("local", include_dashboard=False, object_store_memory=LOCAL_STORE_BYTES, **quiet)
            else:
                ray.init(address, **quiet)
    except Exception as error:
        where = "here" if address is None else f"at {address}"
        raise RayFailed(f"Ray cannot be had {where}: {reason(error)}") from error


def _knock(address: str) -> None:
    """Raise OSError if nobody is there: Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_S).close()


@contextmanager
def _mute() -> Iterator[None]:
    """Let nothing reach standard error: Ray's core says there that it was told to say nothing."""
    was = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(was, 2)
        os.close(was)


def reason(error: Exception) -> str:
    """Return the gist of an error of Ray's, which may be pages: its first line, and its last, the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    gist = " ... ".join(dict.fromkeys(line[:SHOWN] for line in (*lines[:1], *lines[-1:])))
    return f"{type(error).__name__}: {gist}"


class _Logged(TextIOBase):
    """Makes debug messages of lines."""

    def write(self, text: str) -> int:
        """See TextIOBase."""
        for line in filter(None, map(str.strip, text.splitlines())):
            log.debug("%s", line)
        return len(text)
