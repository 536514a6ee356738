"""A Ray of this process's own, or a cluster's, and that it says nothing where results or progress go."""

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
"""For units and results on their way; what does not fit goes to disk."""

KNOCK_S = 10.0
"""What a cluster may take to accept a connection."""

SHOWN = 200
"""Characters of a line."""


class RayFailed(DragomanError):
    """Ray cannot be reached, or has given up."""


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Ray while in this context: started here, or without end at `address`. One that is there is used.

    Raises InvalidInput and RayFailed.
    """
    if address is not None and address.startswith("ray://"):
        raise InvalidInput(
            "Ray Data cannot be fed from outside of its cluster; run the command on a machine of it, with "
            "`auto` or HOST:PORT",
            field="--ray-address",
        )
    own = not ray.is_initialized()
    with redirect_stdout(_Logged()):  # of what goes wrong elsewhere, Ray tells on standard output
        if own:
            _connect(address)
        try:
            yield
        finally:
            if own:
                ray.shutdown()


def machines() -> list[Mapping[str, float]]:
    """The resources of those that are there now."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


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
    """Raises OSError if nobody is there: Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_S).close()


@contextmanager
def _mute() -> Iterator[None]:
    """Nothing reaches standard error: Ray's core says there that it was told to say nothing."""
    was = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(was, 2)
        os.close(was)


def reason(error: Exception) -> str:
    """The gist of an error of Ray's, which may be pages: how it begins, and the cause, which is last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    gist = " ... ".join(dict.fromkeys(line[:SHOWN] for line in (*lines[:1], *lines[-1:])))
    return f"{type(error).__name__}: {gist}"


class _Logged(TextIOBase):
    """Where lines become debug messages."""

    def write(self, text: str) -> int:
        """See TextIOBase."""
        for line in filter(None, map(str.strip, text.splitlines())):
            log.debug("%s", line)
        return len(text)
