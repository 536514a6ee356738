"""What several stores ask of a database, and what SQLite and PostgreSQL have each its own words for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Double,
    Select,
    Table,
    func,
    literal_column,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

_AT_ONCE = 500


class now(FunctionElement[float]):
    """Seconds since 1970 by the database's clock, which all servers have in common."""

    type = Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _sqlite_now(*_: object, **__: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"  # unixepoch('subsec') is of 2023


@compiles(now, "postgresql")
def _postgresql_now(*_: object, **__: object) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


def put(
    db: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, change: Iterable[str] = ()
) -> None:
    """Insert rows. Where one is there already, these columns of it change; without any, it stays."""
    if rows:
        statement = import_module(f"sqlalchemy.dialects.{db.dialect.name}").insert(table)
        values = {name: statement.excluded[name] for name in change}
        db.execute(
            statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=values)
            if values
            else statement.on_conflict_do_nothing(),
            rows,
        )


def total(db: Connection, column: ColumnElement[Any], *which: ColumnElement[bool]) -> int:
    """Return the sum of a column over the rows that these conditions choose."""
    return int(db.scalar(select(func.coalesce(func.sum(column), 0)).where(*which)) or 0)


def piece(
    db: Connection, column: Column[bytes | None], which: Iterable[ColumnElement[bool]], start: int, size: int
) -> bytes:
    """Return bytes of the value in one row, without reading what comes before them; b"" without a row."""
    if db.dialect.name != "sqlite":
        return db.scalar(select(func.substring(column, start + 1, size)).where(*which)) or b""
    row = db.scalar(select(literal_column("rowid")).select_from(column.table).where(*which))
    connection: Any = db.connection.driver_connection
    if row is None or connection is None:
        return b""
    with connection.blobopen(str(column.table), column.name, row, readonly=True) as blob:
        blob.seek(start)
        return bytes(blob.read(size))


def rows_in(
    db: Connection, query: Select[Any], column: ColumnElement[Any], values: Sequence[Any]
) -> Iterator[Any]:
    """Yield a query's rows where the column is one of these; databases bound the number of parameters."""
    for start in range(0, len(values), _AT_ONCE):
        yield from db.execute(query.where(column.in_(values[start : start + _AT_ONCE])))
