"""Brings a database to the tables of `schema.py`, by Alembic where it has older ones."""

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from service.store.schema import METADATA, VERSION

_TABLE = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"


def is_current(db: Connection) -> bool:
    """Return True if the tables are this version's."""
    return _is_there(db) and db.scalar(text("SELECT version_num FROM alembic_version")) == VERSION


def migrate(db: Connection) -> None:
    """Make the tables, or change those of an older version, in a transaction that runs alone.

    Raises SQLAlchemyError if a newer version made them.
    """
    if is_current(db):
        return  # another process was faster
    if not _is_there(db):
        METADATA.create_all(db)
        db.execute(text(_TABLE))
        db.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": VERSION})
    else:
        upgrade(db)


def upgrade(db: Connection) -> None:
    """Run the migrations that a database has not had; Alembic takes half a second to import."""
    from alembic.command import upgrade
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": db})
    config.set_main_option("script_location", "service.store:migrations")
    try:
        upgrade(config, "head")
    except CommandError as error:
        raise SQLAlchemyError(f"its tables are of another version of Dragoman ({error})") from error


def _is_there(db: Connection) -> bool:
    return inspect(db).has_table("alembic_version")
