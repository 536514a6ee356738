"""API keys: kept hashed, made, listed and revoked on the command line; rates as they are written."""

import json

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from models.errors import InvalidInput
from service.cli.main import cli
from service.errors import RevokedKey, UnknownKey
from service.settings import checked_rate
from service.store import keys as store
from service.store.database import Database
from service.store.keys import Keys
from service.store.schema import api_key


@pytest.fixture
def keys(database):
    return Keys(database)


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("DRAGOMAN_DATA_DIR", str(tmp_path))
    return tmp_path


def dragoman(*arguments):
    return CliRunner().invoke(cli, ["keys", *arguments])


def test_a_key_is_found_by_itself_alone(keys):
    made, secret = keys.create("newsroom", rate="60/minute", daily_characters=1000)
    other, _ = keys.create("archive")
    assert keys.find(secret) == made
    assert (made.name, made.rate, made.daily_characters, made.revoked) == (
        "newsroom",
        "60/minute",
        1000,
        None,
    )
    assert keys.all() == [made, other]
    for wrong in (secret[:-1], secret + "x", made.id, made.prefix, "", "é\ud800"):
        with pytest.raises(UnknownKey):
            keys.find(wrong)


def test_keys_do_not_repeat_and_hold_32_random_bytes(keys):
    secrets = {keys.create("same")[1] for _ in range(5)}
    assert len(secrets) == 5
    assert all(secret.startswith("drg_") and len(secret) == 4 + 43 for secret in secrets)


def test_no_key_is_written_down(keys, database):
    made, secret = keys.create("newsroom")
    (row,) = database.read(select(api_key))
    assert made.prefix in str(row)
    assert secret not in str(row) and secret[len(made.prefix) :] not in str(row)


def test_nothing_is_made_where_there_are_no_keys(tmp_path):
    keys = Keys(Database(tmp_path / "none"))
    assert keys.all() == [] and not keys.any()
    with pytest.raises(UnknownKey):
        keys.find("drg_x")
    assert not (tmp_path / "none").exists()


def test_a_revoked_key_is_told_apart(keys):
    made, secret = keys.create("newsroom")
    first = keys.revoke(made.id)
    assert first.revoked is not None
    assert keys.revoke(made.id).revoked == first.revoked
    with pytest.raises(RevokedKey):
        keys.find(secret)
    assert keys.any() and keys.all() == [first]
    with pytest.raises(InvalidInput, match="unknown key id: 'x'"):
        keys.revoke("x")


def test_a_running_server_hears_of_what_another_process_did(keys, tmp_path, database_url):
    elsewhere = Keys(Database(tmp_path, database_url))
    made, secret = elsewhere.create("newsroom")
    assert keys.find(secret) == made
    elsewhere.revoke(made.id)
    with pytest.raises(RevokedKey):
        keys.find(secret)


def test_a_key_is_found_without_reading_the_others(keys, monkeypatch):
    made = [keys.create(f"key {i}")[1] for i in range(20)]
    read = []
    _key = store._key
    monkeypatch.setattr(store, "_key", lambda row: read.append(row) or _key(row))
    assert keys.find(made[7]).name == "key 7" and keys.any()
    assert len(read) == 2


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 201])
def test_names_are_one_line(keys, name):
    with pytest.raises(InvalidInput) as raised:
        keys.create(name)
    assert raised.value.field == "NAME"


@pytest.mark.parametrize("rate", ["60/minute", "10/second;1000/day", "5 per 2 hours"])
def test_rates(rate):
    assert checked_rate(rate) == rate


@pytest.mark.parametrize("rate", ["", "60", "fast", "60/fortnight", "0/minute", "-1/minute"])
def test_what_is_no_rate(keys, rate):
    with pytest.raises(InvalidInput, match="is not a rate"):
        checked_rate(rate)
    with pytest.raises(InvalidInput):
        keys.create("newsroom", rate=rate)
    assert not keys.any()


# ---------------------------------------------------------------------- the command


def test_a_key_is_printed_once_and_works(data_dir):
    done = dragoman("create", "newsroom", "--rate", "60/minute", "--daily-characters", "5")
    secret = done.stdout.strip()
    assert (done.exit_code, Keys(Database(data_dir)).find(secret).name) == (0, "newsroom")
    assert "it will not be shown again" in done.stderr
    shown = dragoman("list")
    assert "newsroom" in shown.stdout and "60/minute" in shown.stdout and secret not in shown.stdout


def test_keys_as_json(data_dir):
    made = json.loads(dragoman("create", "[red]Ünï", "--json").stdout)
    (listed,) = json.loads(dragoman("list", "--json").stdout)
    assert listed == {name: value for name, value in made.items() if name != "key"}
    assert made["key"].startswith(listed["begins"]) and listed["name"] == "[red]Ünï"
    assert "[red]Ünï" in dragoman("list").stdout


def test_revoking(data_dir):
    secret = dragoman("create", "newsroom").stdout.strip()
    (key,) = Keys(Database(data_dir)).all()
    assert dragoman("revoke", key.id).exit_code == 0
    with pytest.raises(RevokedKey):
        Keys(Database(data_dir)).find(secret)
    assert json.loads(dragoman("list", "--json").stdout)[0]["revoked"]
    wrong = dragoman("revoke", "nothing")
    assert (wrong.exit_code, wrong.stdout) == (2, "") and "nothing" in wrong.stderr


def test_wrong_use_is_said_in_a_line(data_dir):
    for arguments, said in (
        (["create", "x", "--rate", "fast"], "60/minute"),
        (["create", "x", "--daily-characters", "0"], "1"),
        (["create", ""], "NAME"),
    ):
        done = dragoman(*arguments)
        assert (done.exit_code, done.stdout) == (2, "") and said in done.stderr
    assert dragoman("list").stderr == "no keys\n"
    assert not list(data_dir.iterdir())


def test_a_wrong_rate_in_the_environment_is_named(data_dir, monkeypatch):
    monkeypatch.setenv("DRAGOMAN_RATE_LIMIT", "fast")
    done = dragoman("list")
    assert done.exit_code == 2 and "DRAGOMAN_RATE_LIMIT is 'fast'" in done.stderr


def test_names_are_no_sql(keys):
    made, _ = keys.create("x'); DROP TABLE api_key; --")
    assert keys.all() == [made]
