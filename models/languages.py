"""The table of languages: users' codes, English names, and each model family's codes."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files

import langcodes
from babel import Locale
from langcodes.tag_parser import LanguageTagError

from models.errors import UnsupportedLanguage

MOST_NEAREST = 3
MOST_DISTANCE = 60
"""The most distance, in CLDR's unit, at which readers of one language make something of another."""


_REGION = re.compile(r"[A-Za-z]{2}|\d{3}")

_REGIONAL = {("pt", "BR"): ("pob",)}
"""Labels of a language in a region that are no codes of the two."""

_WIDER = {"ckb": "kur"}
"""The macrolanguages of languages whose users' code is not that of it."""

_CHINESE = {
    "zh": ("cmn_Hans", "zho_Hans", "zh", "zh_cn", "zh_CN", "zhs", "cmn", "cn", "zho"),
    "zh-Hant": ("cmn_Hant", "zho_Hant", "zh_tw", "zh_TW", "zht", "zh_HK"),
}
"""Labels of Chinese, those of much text before the rare ones: `cmn` is Tatoeba's alone."""


class Languages:
    """Looks languages up by any code that a user, a client or a model has for them.

    `table` maps a user's code to its row: `name` and a column for each family of models. `kin` are groups
    of languages that are much alike.
    """

    def __init__(
        self,
        table: Mapping[str, Mapping[str, str]],
        aliases: Mapping[str, str],
        kin: Sequence[Sequence[str]] = (),
    ):
        self._table = table
        self._kin = kin
        self._codes = {own.lower(): code for code, row in table.items() for own in self._own_codes(row)}
        self._own = frozenset(self._codes)
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
        return cls(data["languages"], data["aliases"], data["kin"]["groups"])

    def normalize(self, code: str, field: str = "language") -> str:
        """The table's own code for `fr`, `FR`, `fr-CA`, `fra_Latn`, `fr_XX` or `French`.

        Raises UnsupportedLanguage, naming `field`, for a code that is none of these.
        """
        wanted = code.strip().lower()
        if wanted in self._codes:
            found = self._codes[wanted]
            # Texts in either script are read alike; only labels of targets tell them apart.
            return found.split("-")[0] if field == "source" and len(self._table[found]) == 1 else found
        base, *subtags = tags = wanted.replace("_", "-").split("-")
        for end in range(len(tags), 1, -1):  # `zh-Hant-HK`
            if "-".join(tags[:end]) in self._codes:
                return self._codes["-".join(tags[:end])]
        if base in self._codes and len(base) <= 3:
            found = self._codes[base]
            script = next((tag for tag in subtags if len(tag) == 4 and tag.isalpha()), None)
            if field != "target" or script in (None, self._script(found)):
                return found
        near = self.nearest(code, self._table)
        hint = f"; the nearest: {', '.join(near)}" if near else ""
        raise UnsupportedLanguage(
            f"{code!r} is not a language code known here{hint}",
            field=field,
            allowed=near or sorted(self._table),
        )

    def region(self, code: str) -> str | None:
        """The region of a user's code: `BR` of `pt-BR`. None for `pt`, `zh-Hant` and models' own codes."""
        wanted = code.strip()
        if wanted.lower() in self._own:
            return None
        _, *subtags = wanted.replace("_", "-").split("-")
        return next((tag.upper() for tag in subtags if _REGION.fullmatch(tag)), None)

    def with_region(self, code: str, field: str = "language") -> str:
        """`normalize`'s code with the region of the user's code, if it has one: `pt-BR` for `pt_br`."""
        found, region = self.normalize(code, field), self.region(code)
        return f"{found}-{region}" if region else found

    def labels(self, code: str, region: str | None = None) -> tuple[list[str], list[str]]:
        """The labels that models for several targets may have for a language, the best first.

        First those of the region's own form of it: `pob` and `pt_BR` for `pt` in `BR`. Then those of the
        language: by its individual code and by that of its macrolanguage (`arb`, `ara`), with its script and
        without, and by its short one. A language in a script that it is not usually written in, such as
        `sr-Latn`, has none without it.
        """
        base, _, script = code.partition("-")
        iso3, _, usual = self._table.get(code, {}).get("nllb", "").partition("_")
        if not iso3:
            iso3, _, usual = self._table.get(base, {}).get("nllb", "").partition("_")
        codes = dict.fromkeys(
            [iso3 or _iso3(base), _iso3(base) if len(base) == 2 else _WIDER.get(base, base)]
        )
        places = [f"{each}_{region}" for each in (base, *codes)] if region else []
        own = [
            *_REGIONAL.get((base, region or ""), ()),
            *(e for place in places for e in (place, place.lower())),
        ]
        if code in _CHINESE:
            return own, [*_CHINESE[code]]
        scripts = [f"{each}_{script or usual}" for each in codes if script or usual]
        return own, scripts if script else [*scripts, *codes, base]

    def nearest(self, code: str, among: Iterable[str]) -> list[str]:
        """Languages that a reader of this one may make something of, the nearest first; at most three.

        By CLDR's distances between languages, after those that are akin to it by this table.
        """
        base = code.split("-")[0].lower()
        akin = [each for group in self._kin if base in group for each in group]
        distances = {each: _distance(code, each) for each in among if each.lower() != code.lower()}
        ranked = sorted(
            (
                (akin.index(each) if each in akin else len(akin), distance, each)
                for each, distance in distances.items()
                if each in akin or distance <= MOST_DISTANCE
            ),
            key=lambda found: (found[0] == len(akin) and found[1] > 10, found[1], found[0]),
        )
        return [each for *_, each in ranked[:MOST_NEAREST]]

    def _script(self, code: str) -> str | None:
        """The script that models write the language in, such as `latn`."""
        own = self._table[code].get("nllb", "")
        _, _, script = own.partition("_")
        return script.lower() or _usual_script(code)

    def name(self, code: str) -> str:
        """The English name; the code itself for a language that is not in the table."""
        row = self._table.get(code)
        return row["name"] if row else code

    def name_in(self, code: str, language: str) -> str:
        """The name in another language, such as 法语 for `fr` in `zh`; the English one if it is not known."""
        names = Locale.parse(language, sep="-").languages
        return str(names.get(code.replace("-", "_")) or self.name(code))

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


def _distance(one: str, other: str) -> int:
    try:
        return langcodes.tag_distance(one, other)
    except LanguageTagError:
        return 1000


def _iso3(base: str) -> str:
    try:
        return langcodes.get(base).to_alpha3()
    except LookupError:
        return base


def _usual_script(code: str) -> str | None:
    try:
        script = langcodes.get(code).maximize().script
    except LanguageTagError:
        return None
    return script.lower() if script else None
