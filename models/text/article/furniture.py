"""Furniture that web pages set around and into articles, a name for each kind: by element and by wording.

Elements are known by tag, role, and the words of class and id. Wording is known in the languages that were
thought of; the other rules look at form alone. No rule knows a site.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from lxml import etree

from models.text.article.block import Block
from models.text.article.wording import DATE, KINDS

_TAGS = {
    "nav": "navigation",
    "footer": "page footer",
    "aside": "aside",
    "form": "form",
    "figcaption": "caption",
    "dialog": "dialog",
    "address": "address",
}
_ROLES = {
    "navigation": "navigation",
    "banner": "navigation",
    "complementary": "aside",
    "contentinfo": "page footer",
    "search": "form",
    "dialog": "dialog",
}
_NAMES = {
    "comments": r"comments?|disqus|respond",
    "related links": r"related|recirc\w*|recommend\w*|read-?more|more-?on|most-?(?:read|popular|viewed)"
    r"|popular|trending|outbrain|taboola|teasers?|see-?also|further|next-?(?:post|article)|prev(?:ious)?"
    r"|inline-?links?|sidebar\w*|similar|linked",
    "share buttons": r"shar(?:e|ing|ed?daddy)\w*|social\w*|addthis\w*|follow\w*|likes?|sns",
    "subscription box": r"newsletters?\w*|subscri\w+|sign-?up|cta|paywall|membership|promo\w*|donat\w*"
    r"|abo|piano",
    "author box": r"author-?(?:bio|box|info|card|details)|about-?author|bio|contributors?",
    "byline or date": r"byline|dateline|post-?(?:meta|info)|entry-?meta|article-?meta|meta|timestamp"
    r"|pub-?date|published|reading-?time|read-?time",
    "tags": r"(?:tag-?(?:list|links|cloud)|tags?|categor(?:y|ies)|topics?|keywords?|tagged|hashtags?)(?!-)",
    "caption": r"(?:wp-)?caption\w*|credits?|photo-?credit|copyright|gallery\w*|slideshow|carousel|lightbox"
    r"|image-?info|media-?info",
    "advertisement": r"ads?|advert\w*|sponsor\w*|ad-?(?:slot|unit|wrapper|container)(?!-disclaimer)|banner",
    "navigation": r"nav\w*|menu\w*|breadcrumbs?|pagination|pager|toolbar|skip-?links?|toc|table-of-contents",
    "page footer": r"footer|foot|legal|print-?only|noprint|cookie\w*|consent",
    "player or widget": r"players?|video-?\w*|audio-?player|widget\w*|poll|quiz",
}
_NAMED = [
    (reason, re.compile(rf"(?:^|[\s_-])(?:{pattern})(?=$|[\s_-])", re.IGNORECASE))
    for reason, pattern in _NAMES.items()
]
_WHOLES = frozenset(("article", "main"))
_WHOLE_KINDS = frozenset(("comments", "related links"))
"""An article's other names, such as of its tags and status, tell of its subject or of its parts."""
_MOST_NAME_CHARACTERS = 1000
"""The longest class or id that is looked at; a longer one names nothing."""
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def element_reason(element: etree._Element) -> str | None:
    """Return the kind of furniture that the element is marked as, or None."""
    reason = _TAGS.get(element.tag) or _ROLES.get((element.get("role") or "").lower())
    if reason is not None:
        return reason
    names = ((element.get(key) or "")[:_MOST_NAME_CHARACTERS] for key in ("class", "id"))
    return _named_reason(" ".join(names), whole=element.tag in _WHOLES)


@lru_cache(maxsize=4096)  # pages give many elements one name
def _named_reason(name: str, *, whole: bool) -> str | None:
    name = _HUMP.sub("-", name)
    kinds = (reason for reason, pattern in _NAMED if pattern.search(name))
    return next((kind for kind in kinds if not whole or kind in _WHOLE_KINDS), None)


class Around(NamedTuple):
    """The kind of furniture and other marks that a block takes from the elements around it."""

    outermost: str | None = None
    """The kind of furniture that the outermost of them holds that holds any."""
    innermost: str | None = None
    quoted: bool = False


def look_around(path: Sequence[etree._Element], known: dict[etree._Element, Around]) -> Around:
    """Read a path's elements from the outermost on; `known` keeps each for all paths that begin alike."""
    new = []
    found = Around()
    for element in reversed(path):
        if element in known:
            found = known[element]
            break
        new.append(element)
    for element in reversed(new):
        reason = element_reason(element)
        quoted = found.quoted or element.tag == "blockquote"
        found = known[element] = Around(found.outermost or reason, reason or found.innermost, quoted)
    return found


_CALL = re.compile(
    r"\b(?:subscribe|newsletters?|sign up|follow (?:us|me|him|her|them|\w+ on)"
    r"|on (?:twitter|facebook|instagram)|share (?:it|this)|click here|in(?:to)? your inbox"
    r"|download (?:the|our) .{0,30}apps?|have a tip|abonnieren|jetzt anmelden|folgen sie"
    r"|suscríbe\w+|síguenos|inscreva-se|siga-nos|iscriviti|seguici|abonnez-vous|suivez-nous"
    r"|подпис(?:ывайтесь|аться|ка на)|volg ons|abonneer|abone ol|zapisz się|obserwuj nas|följ oss)\b"
    r"|订阅|关注我们|購読|구독하|اشترك",
    re.IGNORECASE,
)
_AFTERWORD = re.compile(
    r"^\W*(?:\d+ )?(?:comments?|kommentare|comentarios|comentários|commenti|commentaires"
    r"|tell us what you think|leave a (?:comment|reply)|filed under|tags?|tagged|topics|share|share this"
    r"|advertisement|posted in|categor(?:y|ies)|schlagworte|no comments|keine kommentare)\b",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"contributed to this|additional reporting|\((?:reporting|editing|writing) by"
    r"|^(?:reporting|editing|edited) by",
    re.IGNORECASE,
)
_MOST_STAMP_WORDS = 6
_DATE = re.compile(r"\b(?:19|20)\d\d\b|\b\d{1,2}[./]\d{1,2}[./]\d\d|\d年")


def is_related_link(block: Block) -> bool:
    """Return whether it points, in so many words, to another article."""
    return block.link_share >= 0.5 and KINDS["related links"].search(block.text) is not None


def opening_reason(block: Block) -> str | None:
    """Return `byline or date` for such a line before the article's first sentence, or None."""
    if block.is_heading:
        return None
    byline = len(block.words) <= 8 and KINDS["byline"].search(block.text)
    dated = (len(block.words) <= 15 and _DATE.search(block.text)) or (
        len(block.words) <= _MOST_STAMP_WORDS and DATE.search(block.text)
    )
    return "byline or date" if byline or dated else None


def call_reason(block: Block, *, at_edge: bool) -> str | None:
    """A call to subscribe, follow, share; inside the article only if it is short and a link."""
    most_words, least_links = (45, 0.0) if at_edge else (12, 0.3)
    found = len(block.words) <= most_words and block.link_share >= least_links and _CALL.search(block.text)
    return "call to action" if found else None


def closing_reason(block: Block) -> str | None:
    """Return the kind of a line that begins what pages set after articles, or None."""
    if len(block.words) <= 25 and _CREDIT.search(block.text):
        return "credit"
    return "after the article" if len(block.words) <= 12 and _AFTERWORD.search(block.text) else None
