"""The tables of the one database: what SQLite and PostgreSQL both have, in SQLAlchemy's terms.

Times are seconds since 1970. A change here is a new version: a file in migrations/versions, and its number in
VERSION; a test asks for it.
"""

from hashlib import blake2b
from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
)

VERSION = "1"

METADATA = MetaData(
    naming_convention={
        "ix": "%(table_name)s_by_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)
_NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up in an INTEGER only."""


def digest(text: str) -> bytes:
    """Return 16 bytes that stand for a text in an index: PostgreSQL bounds an index's rows at 2,700 bytes."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


# ---------------------------------------------------------------------- keys and what they may use

api_key = Table(
    "api_key",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("created", Double, nullable=False),
    Column("revoked", Double),
    Column("rate", Text),
    Column("daily_characters", BigInteger),
    Column("admin", Boolean, nullable=False),
)

used = Table(  # rates and daily characters, until they expire
    "used",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("expires", Double, nullable=False, index=True),
)

# ---------------------------------------------------------------------- glossaries and translation memories

glossary = Table(
    "glossary",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("owner", Text, index=True),
    Column("caller", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)

glossary_entry = Table(
    "glossary_entry",
    METADATA,
    Column("glossary", Text, ForeignKey("glossary.id", ondelete="CASCADE"), primary_key=True),
    Column("target", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),  # of the term
    Column("term", Text, nullable=False),
    Column("translation", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)

memory = Table(
    "memory",
    METADATA,
    Column("caller", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),  # of the text
    Column("owner", Text),
    Column("text", Text, nullable=False),
    Column("translation", Text, nullable=False),
    Column("characters", Integer, nullable=False),  # of the text
    Column("bytes", BigInteger, nullable=False),
    Index(None, "caller", "source", "target", "characters"),
    Index(None, "caller", "bytes"),
    Index(None, "owner", "bytes"),
)

# ---------------------------------------------------------------------- answers kept for a while

idempotent_request = Table(
    "idempotent_request",
    METADATA,
    Column("caller", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("owner", Text),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("reference", Text, nullable=False),
    Column("until", Double, nullable=False, index=True),
    Column("status", Integer),
    Column("headers", Text),
    Column("body", LargeBinary),
    Column("bytes", BigInteger, nullable=False),
    Index(None, "owner", "bytes"),
)

document_file = Table(  # finished documents, as LibreTranslate's clients download them
    "document_file",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("caller", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("until", Double, nullable=False, index=True),
    sqlite_autoincrement=True,
)

# ---------------------------------------------------------------------- jobs

job = Table(
    "job",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("owner", Text),
    Column("caller", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("form", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created", Double, nullable=False),
    Column("started", Double),
    Column("finished", Double, index=True),
    Column("problem", LargeBinary),
    Column("interruptions", Integer, nullable=False),
    Column("claimed", Double, nullable=False),
    Column("lease", Text),  # of the claim that runs it, ...
    Column("lease_until", Double),  # ... unless its server has not been heard of since
    Column("callback", Text),
    Column("callback_status", Text),
    Column("callback_tries", Integer, nullable=False),
    Column("callback_due", Double),
    Index(None, "status", "number"),
    Index(None, "owner", "number"),
    Index(None, "caller", "claimed"),
    Index(None, "callback_status", "callback_due"),
    sqlite_autoincrement=True,
)


def _of_job() -> ForeignKey:
    return ForeignKey("job.number", ondelete="CASCADE")


job_item = Table(
    "job_item",
    METADATA,
    Column("job", _NUMBER, _of_job(), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("content", LargeBinary),  # a document, or a text in UTF-8; None once it is done
    Column("size", BigInteger),  # of the result in bytes; None until it is done
    Column("data", LargeBinary),
    Column("file", Text),  # the result's name at DRAGOMAN_RESULTS, in place of `data`
    Column("media_type", Text),
    Column("filename", Text),
    Column("notes", Text),
)

# What PostgreSQL does not compress is read by the piece.
for _table in (document_file, job_item):
    _uncompressed: Any = DDL("ALTER TABLE %(table)s ALTER COLUMN data SET STORAGE EXTERNAL")  # type: ignore[no-untyped-call]
    event.listen(_table, "after_create", _uncompressed.execute_if(dialect="postgresql"))

job_segment = Table(
    "job_segment",
    METADATA,
    Column("told", _NUMBER, primary_key=True),
    Column("job", _NUMBER, _of_job(), nullable=False),
    Column("number", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("job", "number"),
    Index(None, "job", "told"),
    sqlite_autoincrement=True,
)

job_output = Table(  # the engines' outputs for items in work, so that an interruption does not lose them
    "job_output",
    METADATA,
    Column("job", _NUMBER, _of_job(), primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)
