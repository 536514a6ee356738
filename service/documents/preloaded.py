"""All that parses documents and pages: a fork server imports it before its first fork, and it alone does."""

from importlib import import_module

import trafilatura  # noqa: F401

import service.documents.parsing  # noqa: F401
from service.documents.formats import FORMATS

for each in FORMATS.values():
    import_module(f"service.documents.{each.reader.partition('.')[0]}")
