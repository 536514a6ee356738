"""`dragoman keys`: creates, lists and revokes API keys; a running server notices within seconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from service.cli.session import JSON, Session, note, write, write_json, write_rows

if TYPE_CHECKING:
    from service.store.keys import Key, Keys


@click.group()
def keys() -> None:
    """Create, list and revoke API keys.

    Only their hashes are stored, in DRAGOMAN_DATA_DIR or DRAGOMAN_DATABASE.
    """


@keys.command(epilog="Example: dragoman keys create newsroom --rate 60/minute --daily-characters 1000000")
@click.argument("name")
@click.option("--rate", help="Rate, such as 60/minute or '10/second;1000/day'; else DRAGOMAN_RATE_LIMIT.")
@click.option(
    "--daily-characters",
    type=click.IntRange(1),
    metavar="N",
    help="A day; else DRAGOMAN_DAILY_CHARACTERS.",
)
@click.option("--admin", is_flag=True, help="Allow the key to have models fetched (POST /v1/models).")
@JSON
@click.pass_obj
def create(
    session: Session, name: str, rate: str | None, daily_characters: int | None, admin: bool, as_json: bool
) -> None:
    """Create a key and print it. It is shown only once: only its hash is stored."""
    with _keys(session) as known:
        key, secret = known.create(name, rate=rate, daily_characters=daily_characters, admin=admin)
    if as_json:
        write_json({**_row(key), "key": secret})
    else:
        write(secret)
    note(f"created key {key.id} for {key.name}; it will not be shown again")


@keys.command("list", epilog="Example: dragoman keys list --json")
@JSON
@click.pass_obj
def list_keys(session: Session, as_json: bool) -> None:
    """List all keys by their first characters; the keys themselves are not stored."""
    with _keys(session) as known:
        write_rows([_row(key) for key in known.all()], "keys", as_json)


@keys.command(epilog="Example: dragoman keys revoke 5f0c9a1e")
@click.argument("key_id", metavar="ID")
@click.pass_obj
def revoke(session: Session, key_id: str) -> None:
    """Revoke a key permanently."""
    with _keys(session) as known:
        key = known.revoke(key_id)
    note(f"revoked key {key.id} of {key.name}")


@contextmanager
def _keys(session: Session) -> Iterator["Keys"]:
    from service.store.keys import Keys

    with session.database() as database:
        yield Keys(database)


def _row(key: "Key") -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "begins": key.prefix,
        "created": key.created.isoformat(timespec="seconds"),
        "revoked": key.revoked.isoformat(timespec="seconds") if key.revoked else None,
        "rate": key.rate,
        "daily_characters": key.daily_characters,
        "admin": key.admin,
    }
