"""The first version, from which the others go on. Nothing has to be changed to get there."""

revision = "1"
down_revision = None


def upgrade() -> None:
    """Do nothing: a new database gets all tables from `schema.py`, whatever its version."""
