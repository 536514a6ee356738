"""A PostgreSQL and a Redis of the tests' own, in folders and on sockets there; quick, and not safe."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError
from waiting import until

from service.store.database import Database

_PLACES = (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name)), None)
_QUICK = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "listen_addresses=",
    "max_connections=200",
)


def program(name: str) -> str | None:
    """Return the path of one of PostgreSQL's programs, of the newest version."""
    return next((found for place in _PLACES if (found := shutil.which(name, path=place))), None)


class PostgreSQL:
    """The server; `new_database` makes databases that have the tables already. `settings` are its own."""

    def __init__(self, *settings: str) -> None:
        # PostgreSQL does not run as root, and pytest's folders are root's then.
        user = pwd.getpwnam("nobody").pw_name if os.getuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="dragoman-postgresql-"))
        if user is not None:
            shutil.chown(self._folder, user)
        data = self._folder / "data"
        made = [program("initdb"), "-D", data, "-U", "dragoman", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run([*made, "--locale=C"], user=user, cwd=self._folder, check=True, capture_output=True)
        given = (part for each in (*_QUICK, *settings) for part in ("-c", each))
        self._command, self._user = [program("postgres"), "-D", data, "-k", self._folder, *given], user
        self._engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        self.start()
        self._numbers = count()
        with self._engine.connect() as db:
            db.execute(text("CREATE DATABASE made"))
        database = Database(self._folder, self.url("made"))
        with database.transaction(write=False):
            pass
        database.close()

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                self._command, user=self._user, cwd=self._folder, stdout=log, stderr=subprocess.STDOUT
            )
        while self._server.poll() is None:
            try:
                with self._engine.connect():
                    return
            except OperationalError:
                time.sleep(0.02)
        raise RuntimeError((self._folder / "log").read_text())

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://dragoman@/{name}?host={self._folder}"

    def new_database(self, template: str = "made") -> str:
        """Make a database, and return its URL."""
        name = f"test_{next(self._numbers)}"
        with self._engine.connect() as db:
            db.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
        return self.url(name)

    def stop(self, how: int = signal.SIGINT) -> None:
        """End it at once, whoever is connected; with SIGQUIT it also loses what is not on the disk."""
        self._server.send_signal(how)
        self._server.wait(30)

    def close(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder)


class Redis:
    """The server, on a socket in a folder of its own."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="dragoman-redis-"))
        file = self._folder / "socket"
        self.url = f"redis+unix://{file}"
        command = ["redis-server", "--port", "0", "--unixsocket", file, "--save", "", "--dir", self._folder]
        self._server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(file.is_socket)

    def close(self) -> None:
        self._server.kill()
        self._server.wait(30)
        shutil.rmtree(self._folder)
