"""The one table of languages: users' codes, English names, and the codes of each family of models."""

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files

from models.errors import UnsupportedLanguage


class Languages:
    """Looks languages up by any code that a user, a client or a model has for them.

    `table` maps a user's code to its row: `name` and a column for each family of models.
    """

    def __init__(self, table: Mapping[str, Mapping[str, str]], aliases: Mapping[str, str]):
        self._table = table
        self._codes = {own.lower(): code for code, row in table.items() for own in self._own_codes(row)}
        self._codes |= {alias.lower(): code for alias, code in aliases.items()}
        self._codes |= {code.lower(): code for code in table}

    @staticmethod
    def _own_codes(row: Mapping[str, str]) -> list[str]:
        # m2m100's codes are left out: `ns` there is not what users mean by it.
        return [row[column] for column in ("mbart50", "nllb", "name") if column in row]

    @classmethod
    def load(cls) -> "Languages":
        """Read the table that is shipped with the package."""
        data = tomllib.loads(files("models").joinpath("languages.toml").read_text("utf-8"))
        return cls(data["languages"], data["aliases"])

    def normalize(self, code: str, field: str = "language") -> str:
        """The table's own code for `fr`, `FR`, `fr-CA`, `fra_Latn`, `fr_XX` or `French`.

        Raises UnsupportedLanguage, naming `field`, for a code that is none of these.
        """
        wanted = code.strip().lower()
        for candidate in (wanted, wanted.replace("_", "-")):
            if candidate in self._codes:
                return self._codes[candidate]
        base = wanted.replace("_", "-").split("-")[0]
        if base in self._codes and len(base) <= 3:
            return self._codes[base]
        raise UnsupportedLanguage(
            f"{code!r} is not a language code known here",
            field=field,
            allowed="ISO 639-1 and BCP 47 codes such as en, fr and zh-Hant",
        )

    def name(self, code: str) -> str:
        """The English name; the code itself for a language that is not in the table."""
        row = self._table.get(code)
        return row["name"] if row else code

    def names(self) -> dict[str, str]:
        """Every code with its English name."""
        return {code: row["name"] for code, row in self._table.items()}

    def column(self, family: str, only: Sequence[str] = ()) -> dict[str, str]:
        """A family's own code for each language it has (or for those in `only`)."""
        return {
            code: row[family]
            for code, row in self._table.items()
            if family in row and (not only or code in only)
        }
