"""The log of the server and of its processes."""

import logging
import sys


def configure_log() -> None:
    """Write our own lines from INFO up, those of libraries from WARNING up, to stderr."""
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,  # over whatever keeps the command line quiet
    )
    for package in ("models", "service"):
        logging.getLogger(package).setLevel(logging.INFO)
