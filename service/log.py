"""Logging of the server and its processes."""

import logging
import sys
import traceback


def configure_log(own: int = logging.INFO) -> None:
    """Write our own lines from this level up, those of libraries from WARNING up, to stderr."""
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,  # over whatever keeps the command line quiet
    )
    for package in ("models", "service"):
        logging.getLogger(package).setLevel(own)


def discreet(record: logging.LogRecord) -> bool:
    """Take out of a record of waitress's what a client sent: paths, and the words of an exception."""
    if record.exc_info and record.exc_info[0]:
        kind, _, trace = record.exc_info
        record.msg, record.args = "A request failed outside the application", ()
        record.exc_text = "".join(traceback.format_tb(trace)) + kind.__name__
        record.exc_info = None
    return True
