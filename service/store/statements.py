"""What several stores ask of a database, and what SQLite and PostgreSQL have each its own words for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, func, select

_AT_ONCE = 500

T = TypeVar("T")


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


def some_at_once(keys: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield a few hundred of them at a time, as databases bound the number of parameters."""
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]
