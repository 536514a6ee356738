"""Extracts the article from a web page's HTML, with a reason for each part that is dropped.

The page is read as blocks: paragraphs, headings and list items. trafilatura's two extractions, a cautious and
a generous one, vote for blocks. The lowest element that holds nearly all the cautious votes is the article's;
inside it boilerplate is dropped, and blocks without votes are taken back where they read like the text around
them. `paste` reads pasted text. docs/decisions.md says what each step is worth and what was tried.
"""

import re
from bisect import bisect
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from itertools import groupby

from inscriptis import Inscriptis
from lxml import etree, html

from models.errors import InvalidInput, at_fault
from models.text.article import Article, Dropped, line_spans, read_verbatim
from models.text.article.boilerplate import DATE, KINDS, Around, element_reason, look_around
from models.text.sentences import UNSPACED

MOST_NESTED = 500
"""Elements inside one another. By itself libxml2 drops what is more than 256 deep, and all that follows, and
says nothing; Python's own stack bears about 1,000."""
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BEGINNING = 50
_FATAL = etree.ErrorLevels.FATAL


def parse_page(page: str) -> html.HtmlElement:
    """The root of the page, without comments.

    Raises InvalidInput with field `html` if there is no element in it, if elements are nested deeper than
    MOST_NESTED, and if the parser does not come to the page's end.
    """
    from trafilatura.utils import repair_faulty_html

    page = _SURROGATE.sub("\ufffd", _DECLARATION.sub("", page))  # a lone surrogate would end the page
    page = repair_faulty_html(page, page[:_BEGINNING].lower())
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        tree = html.document_fromstring(page.encode(), parser=parser)
    except etree.LxmlError as error:
        raise InvalidInput(f"the HTML could not be read: {error}", field="html") from error
    wrong = next((entry for entry in parser.error_log if entry.level == _FATAL), None)
    if any(depth > MOST_NESTED for depth in _depths(tree)) or (wrong and "depth" in wrong.message):
        raise InvalidInput(
            "the HTML has elements nested too deep in one another",
            field="html",
            allowed=f"elements at most {MOST_NESTED} deep",
        )
    if wrong:
        raise InvalidInput(f"the HTML could not be read to its end: {wrong.message}", field="html")
    return tree


def _depths(tree: etree._Element) -> Iterator[int]:
    """The depth of each element, the root's 1."""
    depth = 0
    for event, _ in etree.iterwalk(tree, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if event == "start":
            yield depth


_UNSEEN = frozenset(
    """head title script style noscript template svg math iframe object embed canvas audio video picture map
    area button select option input textarea datalist""".split()  # noqa: SIM905
)
_INLINE = frozenset(
    """a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark nobr q rp rt ruby
    s samp small span strike strong sub sup time tt u var wbr""".split()  # noqa: SIM905
)
_BREAKS = frozenset(("br", "hr"))
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_HIDING_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
_SENTENCE_END = re.compile(r"[.!?…:。！？：؟۔।።։][\"'”’»」』)\]]*$")
_WORD_CHARACTERS = re.compile(r"\w+")
_ADDRESS = re.compile(r"https?://\S+")
_SENTENCE_WORDS = 8
_MOST_SENTENCE_LINKS = 0.5


def words(text: str) -> tuple[str, ...]:
    """The words of a text for comparing; in scripts that set no spaces, each character is one."""
    return tuple(_WORD.findall(text.casefold()))


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A stretch of text that no block element and no line break interrupts, its white space collapsed."""

    text: str
    words: tuple[str, ...]
    link_share: float
    """Characters in links, or of addresses written out, as a share of the text's, 0 to 1."""
    path: tuple[etree._Element, ...]
    """The block elements around it, the body first."""

    @property
    def tag(self) -> str:
        return str(self.path[-1].tag)

    @property
    def is_heading(self) -> bool:
        return self.tag in _HEADINGS

    @property
    def is_prose(self) -> bool:
        """Return whether it reads like one sentence at least, and not like a link or a label."""
        ends = _SENTENCE_END.search(self.text) is not None
        return len(self.words) >= _SENTENCE_WORDS and ends and self.link_share < _MOST_SENTENCE_LINKS

    @property
    def is_cut_short(self) -> bool:
        """Return whether it ends in dots, as teasers do."""
        last = max((found.end() for found in _WORD_CHARACTERS.finditer(self.text)), default=0)
        return "..." in self.text[last:] or "…" in self.text[last:]


def read_blocks(tree: etree._Element, *, with_hidden: bool = False) -> list[Block]:
    """The blocks of a page's body. `with_hidden` takes those too that only a script would show."""
    body = tree if tree.tag == "body" else tree.find(".//body")
    body = tree if body is None else body
    blocks: list[Block] = []
    path: list[etree._Element] = []
    parts: list[str] = []
    links = link_characters = 0
    skipped: etree._Element | None = None

    def finish() -> None:
        nonlocal link_characters
        text = " ".join("".join(parts).split())
        if text and path:
            addresses = sum(map(len, _ADDRESS.findall(text)))
            share = min(1.0, max(link_characters, addresses) / len(text))
            blocks.append(Block(text, words(text), share, tuple(path)))
        parts.clear()
        link_characters = 0

    for event, element in etree.iterwalk(body, events=("start", "end", "comment", "pi")):
        if event == "start" and skipped is None:
            if element.tag in _UNSEEN or (path and not with_hidden and _is_hidden(element)):
                skipped = element
            elif element.tag not in _INLINE:
                finish()
                if element.tag not in _BREAKS:
                    path.append(element)
            links += element.tag == "a" and skipped is None
        elif event == "end" and skipped is None:
            links -= element.tag == "a"
            if element.tag not in _INLINE and element.tag not in _BREAKS:
                finish()
                path.pop()
        elif event == "end" and element is skipped:
            skipped = None
        text = element.text if event == "start" else element.tail if element is not body else None
        if text and skipped is None:
            parts.append(text)
            link_characters += len(" ".join(text.split())) if links else 0
    return blocks


def _is_hidden(element: etree._Element) -> bool:
    return (
        "hidden" in element.attrib
        or element.get("aria-hidden") == "true"
        or _HIDING_STYLE.search(element.get("style") or "") is not None
    )


_CALL = re.compile(
    r"\b(?:subscribe|newsletters?|sign up|follow (?:us|me|him|her|them|\w+ on)|on (?:twitter|facebook"
    r"|instagram)|share (?:it|this)|click here|in(?:to)? your inbox|download (?:the|our) .{0,30}apps?"
    r"|have a tip|abonnieren|jetzt anmelden|folgen sie|suscríbe\w+|síguenos|inscreva-se|siga-nos|iscriviti"
    r"|seguici|abonnez-vous|suivez-nous|подпис(?:ывайтесь|аться|ка на)|volg ons|abonneer|abone ol|zapisz się"
    r"|obserwuj nas|följ oss)\b|订阅|关注我们|購読|구독하|اشترك",
    re.IGNORECASE,
)
_AFTERWORD = re.compile(
    r"^\W*(?:\d+ )?(?:comments?|kommentare|comentarios|comentários|commenti|commentaires"
    r"|tell us what you think|leave a (?:comment|reply)|filed under|tags?|tagged|topics|share|share this"
    r"|advertisement|posted in|categor(?:y|ies)|schlagworte|no comments|keine kommentare)\b",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"contributed to this|additional reporting|\((?:reporting|editing|writing) by|^(?:reporting|editing"
    r"|edited) by",
    re.IGNORECASE,
)
_MOST_STAMP_WORDS = 6
_DIGIT_DATE = re.compile(r"\b(?:19|20)\d\d\b|\b\d{1,2}[./]\d{1,2}[./]\d\d|\d年")


def _opening_reason(block: Block) -> str | None:
    """Return `byline or date` for such a line before the article's first sentence, or None."""
    if block.is_heading:
        return None
    byline = len(block.words) <= 8 and KINDS["byline"].search(block.text)
    dated = (len(block.words) <= 15 and _DIGIT_DATE.search(block.text)) or (
        len(block.words) <= _MOST_STAMP_WORDS and DATE.search(block.text)
    )
    return "byline or date" if byline or dated else None


def _call_reason(block: Block, *, at_edge: bool) -> str | None:
    """A call to subscribe, follow, share; inside the article only if it is short and a link."""
    most_words, least_links = (45, 0.0) if at_edge else (12, 0.3)
    found = len(block.words) <= most_words and block.link_share >= least_links and _CALL.search(block.text)
    return "call to action" if found else None


def _closing_reason(block: Block) -> str | None:
    """Return the kind of a line that begins what pages set after articles, or None."""
    if len(block.words) <= 25 and _CREDIT.search(block.text):
        return "credit"
    return "after the article" if len(block.words) <= 12 and _AFTERWORD.search(block.text) else None


_GRAM_WORDS = 4
_LEAST_GRAMS = 0.7

Gram = tuple[str, ...]


def grams(found: Sequence[str]) -> set[Gram]:
    """Its runs of four words; a shorter text is one run."""
    return {tuple(found[i : i + _GRAM_WORDS]) for i in range(max(1, len(found) - _GRAM_WORDS + 1))}


class Extraction:
    """The text that an extractor took from a page."""

    def __init__(self, text: str):
        self._found = words(text)
        self._words = set(self._found)
        self._grams = grams(self._found)
        self._runs: dict[int, set[Gram]] = {}

    def holds(self, block: Block) -> bool:
        """Return whether nearly all of the block is in it; a short one has to be there as it is."""
        if len(block.words) < 2 * _GRAM_WORDS:
            return bool(block.words) and block.words in self._runs_of(len(block.words))
        own = grams(block.words)
        return len(own & self._grams) >= _LEAST_GRAMS * len(own)

    def _runs_of(self, size: int) -> set[Gram]:
        """Return all runs of so many words: to search the text for each short block takes long."""
        if size not in self._runs:
            last = len(self._found) - size + 1
            self._runs[size] = {tuple(self._found[i : i + size]) for i in range(last)}
        return self._runs[size]

    def share_in(self, blocks: Iterable[Block]) -> float:
        """Return how many of its different words stand in the blocks, 0 to 1; all of them if it has none."""
        seen = set().union(*(block.words for block in blocks))
        return len(seen & self._words) / len(self._words) if self._words else 1.0


_ROOT_SHARE = 0.9
_LEAST_ARTICLE_WORDS = 40
_MOST_BOILERPLATE = 0.5
"""A kind of boilerplate with more of the article than this share was told by a misleading name."""
_LEAST_FOUND = 0.5
_LINK_RUN = 3
_LEAD_LEVELS = 3
_EDGE_LINKS = 0.65
_FEWEST_LEFT = 3


@dataclass
class Body:
    """A page on its way to its article; blocks are named by their numbers."""

    blocks: Sequence[Block]
    title: tuple[str, ...]
    """The words of the page's title, if it has one."""
    cautious: Set[int]
    generous: Set[int]
    root: etree._Element
    inside: dict[int, tuple[etree._Element, ...]]
    """The blocks in the root, with the elements between."""
    quoted: set[int] = field(default_factory=set)
    """Those in the root that a quotation's element holds."""
    kept: set[int] = field(default_factory=set)
    reasons: dict[int, str] = field(default_factory=dict)

    def order(self) -> list[int]:
        return sorted(self.kept)

    def drop(self, number: int, reason: str) -> None:
        self.kept.discard(number)
        self.reasons.setdefault(number, reason)


def find_body(blocks: Sequence[Block], title: str, cautious: Extraction, generous: Extraction) -> Body:
    """The article among the blocks, of which there is one at least."""
    wide = {i for i, block in enumerate(blocks) if generous.holds(block)}
    votes = (
        _unless_a_scrap({i for i, block in enumerate(blocks) if cautious.holds(block)}, wide, blocks)
        or wide
        or {i for i, block in enumerate(blocks) if block.is_prose}
        or set(range(len(blocks)))
    )
    root = _find_root(blocks, votes)
    inside = {
        i: block.path[block.path.index(root) + 1 :] for i, block in enumerate(blocks) if root in block.path
    }
    body = Body(blocks, words(title), votes, wide, root, inside)
    for step in (
        _mark_boilerplate,
        _mark_link_runs,
        _drop_opening,
        _recover,
        _take_lead,
        _drop_calls,
        _trim,
    ):
        step(body)
    return body


def _unless_a_scrap(votes: Set[int], wide: Set[int], blocks: Sequence[Block]) -> Set[int]:
    """The cautious votes; with the others' sentences if they have less than half: one post of many."""
    found, others = (
        sum(len(blocks[i].words) for i in numbers if blocks[i].is_prose) for numbers in (votes, wide)
    )
    if found >= _LEAST_FOUND * others:
        return votes
    return votes | {i for i in wide if blocks[i].is_prose}


def _find_root(blocks: Sequence[Block], votes: Set[int]) -> etree._Element:
    """The lowest element with nearly all votes, or the `article` in it that has the headline.

    A vote counts by its words; words that several blocks hold are shared among them, since teasers repeat
    the article.
    """
    held = {i: grams(blocks[i].words) for i in votes}
    holders = Counter(gram for found in held.values() for gram in found)
    weights: dict[etree._Element, float] = defaultdict(float)
    depths: dict[etree._Element, int] = {}
    for i in votes:
        weight = len(blocks[i].words) * sum(1 / holders[gram] for gram in held[i]) / len(held[i])
        for depth, element in enumerate(blocks[i].path):
            weights[element] += weight
            depths[element] = depth
    whole = max(weights.values())
    root = max((e for e in weights if weights[e] >= _ROOT_SHARE * whole), key=depths.__getitem__)
    for block in blocks:
        if block.tag == "h1" and root in block.path:
            articles = [e for e in block.path[block.path.index(root) + 1 :] if e.tag == "article"]
            if articles and weights[articles[-1]] >= _LEAST_ARTICLE_WORDS:
                return articles[-1]
    return root


# ------------------------------------------------------------------------------------------ the steps


def _mark_boilerplate(body: Body) -> None:
    """Name what is boilerplate by its elements or its wording; quotations, such as posts, are none."""
    total = sum(len(body.blocks[i].words) for i in body.inside if i in body.cautious)
    held: Counter[str] = Counter()
    found: dict[int, str] = {}
    known: dict[etree._Element, Around] = {}
    for i, path in body.inside.items():
        reason, _, quoted = look_around(path, known)
        if quoted:
            body.quoted.add(i)
        if reason is not None and (not quoted or reason == "comments"):
            found[i] = reason
            held[reason] += len(body.blocks[i].words) if i in body.cautious else 0
    body.reasons |= {i: reason for i, reason in found.items() if held[reason] <= _MOST_BOILERPLATE * total}
    for i in body.inside:
        block = body.blocks[i]
        if block.link_share >= 0.5 and KINDS["related links"].search(block.text):
            body.reasons.setdefault(i, "related links")


def _mark_link_runs(body: Body) -> None:
    """Several links in a row are a list of other pages; a short line before them is its heading."""
    order = sorted(body.inside)
    total = sum(len(body.blocks[i].words) for i in order if i in body.cautious)
    start = 0
    for end in range(len(order) + 1):
        block = body.blocks[order[end]] if end < len(order) else None
        if block is not None and block.link_share >= 0.75 and len(block.words) >= 2:
            continue
        run = order[start:end]
        size = sum(len(body.blocks[i].words) for i in run if i in body.cautious)
        if len(run) >= _LINK_RUN and size < _MOST_BOILERPLATE * total:
            before = order[start - 1 : start] if start else []
            label = [i for i in before if len(body.blocks[i].words) <= 5 and not body.blocks[i].is_prose]
            for i in label + run:
                body.reasons.setdefault(i, "related links")
        start = end + 1


def _drop_opening(body: Body) -> None:
    """Headlines, bylines and dates before the first sentence, and the page's title wherever it stands."""
    body.kept = {i for i in body.inside if i in body.cautious and i not in body.reasons}
    opening = True
    for i in body.order():
        block = body.blocks[i]
        opening = opening and not block.is_prose
        heads = opening and (block.tag == "h1" or is_headline(block, body.title))
        if heads or (block.words and block.words == body.title):
            body.drop(i, "headline")
        elif opening and (reason := _opening_reason(block)):
            body.drop(i, reason)


def is_headline(block: Block, title: Sequence[str]) -> bool:
    """Return whether it says what the title says, or as much of it as one of both has."""
    shorter = min(len(block.words), len(title))
    same = tuple(block.words[:shorter]) == tuple(title[:shorter])
    return same and (shorter >= 3 or 0 < shorter == len(block.words) == len(title))


def _recover(body: Body) -> None:
    """Sentences, quotations and headings between what is kept that stand beside it."""
    order = body.order()
    if not order:
        return
    beside = {_container(body.blocks[i]) for i in order}
    for i in range(order[0], order[-1]):
        if i in body.kept or i in body.reasons or i not in body.inside:
            continue
        block = body.blocks[i]
        near = any(element in beside for element in block.path[-3:])
        sentence = block.is_prose and (near or i in body.generous)
        heading = block.is_heading and (i in body.generous or (near and block.link_share < 0.5))
        if sentence or heading or i in body.quoted:
            body.kept.add(i)


def _container(block: Block) -> etree._Element:
    own = block.tag == "p" or block.is_heading
    return block.path[-2] if own and len(block.path) > 1 else block.path[-1]


def _take_lead(body: Body) -> None:
    """Sentences between the headline and the article that stand near its root, but not in a header."""
    if not body.kept:
        return
    first = min(body.kept)
    headlines = [
        i for i in range(first) if body.blocks[i].tag == "h1" or is_headline(body.blocks[i], body.title)
    ]
    around = list(body.root.iterancestors())[:_LEAD_LEVELS]
    said = set().union(*(grams(body.blocks[i].words) for i in body.kept))
    for i in range(headlines[-1] + 1 if headlines else first, first):
        block = body.blocks[i]
        if not block.is_prose or block.is_cut_short or i in body.reasons:
            continue
        if grams(block.words) <= said:
            body.drop(i, "repeated")
            continue
        outside = any(map(element_reason, block.path[-3:])) if i not in body.inside else False
        in_header = any(element.tag == "header" for element in block.path)
        near = not in_header and any(element in around for element in block.path[-4:])
        if not outside and (i in body.cautious or i in body.inside or near):
            body.kept.add(i)


def _drop_calls(body: Body) -> None:
    order = body.order()
    for at, i in enumerate(order):
        left = len(order) - at
        block = body.blocks[i]
        reason = _call_reason(block, at_edge=at == 0 or left <= 4)
        reason = reason or (_closing_reason(block) if left <= 6 else None)
        if reason:
            body.drop(i, reason)


def _trim(body: Body) -> None:
    """Links at both ends, and headings that nothing follows."""
    order = deque(body.order())
    while len(order) > _FEWEST_LEFT:
        last = body.blocks[order[-1]]
        if last.link_share < _EDGE_LINKS and not last.is_heading:
            break
        body.drop(order.pop(), "related links")
    while len(order) > _FEWEST_LEFT and body.blocks[order[0]].link_share >= _EDGE_LINKS:
        body.drop(order.popleft(), "navigation")


_PAGE = re.compile(r"<(?:html|body)\b", re.IGNORECASE)
_TAG = re.compile(r"<[a-z][^<>]*>", re.IGNORECASE)
_TITLES = "//meta[@property='og:title' or @name='og:title' or @name='twitter:title']/@content"
_SITE_NAME = re.compile(r"\s(?:[|·»–—-]|::)\s")
_MANY_ELEMENTS = 20_000
_MANY_LEVELS = 1_000_000
"""The most levels, of all elements together, at which trafilatura's second opinions are asked: those look at
each element's ancestors, which takes long."""
_LEAST_VISIBLE = 0.5
"""The least share of what trafilatura found that is to be seen, unless a script shows the article."""
_MANY_LINKS = 0.5


def read_page(html: str, clean: bool) -> Article:
    """The article of a web page, or with `clean` false all the text that it shows, each line a paragraph.

    Raises InvalidInput with field `html` if there is none.
    """
    if clean:
        return read_html(html)
    tree = parse_page(html)
    with at_fault("html", "the HTML could not be read"):
        text = Inscriptis(tree).get_text()
    if not any(character.isalpha() for character in text):
        raise InvalidInput("the HTML has no text", field="html", allowed="a page with text in it")
    return read_verbatim(text)


def read_html(html: str) -> Article:
    """The article of a web page, or of a piece of one.

    Its text holds the paragraphs that are read and no others; `dropped` has the rest of what the page shows,
    each stretch with its reason. Raises InvalidInput with field `html` if there is no article.
    """
    page = html if _PAGE.search(html) else f"<html><body>{html}</body></html>"
    with at_fault("html", "the HTML could not be read"):
        article = _read(page) if _TAG.search(html) else None
    if article is None or not any(map(str.isalpha, article.text)):
        raise InvalidInput(
            "the HTML has no article text", field="html", allowed="a page with an article in it"
        )
    return article


def _read(page: str) -> Article | None:
    tree = parse_page(page)
    title = _find_title(tree)
    depths = list(_depths(tree))
    is_large = len(depths) > _MANY_ELEMENTS or sum(depths) > _MANY_LEVELS
    cautious, generous = (_extract(tree, precise=precise, fast=is_large) for precise in (True, False))
    extraction = Extraction(generous)
    blocks = read_blocks(tree)
    complete = extraction.share_in(blocks) >= _LEAST_VISIBLE
    if not complete:
        with_hidden = read_blocks(tree, with_hidden=True)
        complete = extraction.share_in(with_hidden) >= _LEAST_VISIBLE
        blocks = with_hidden if complete else blocks
    # what stands in the page's data alone is for a script to show
    data = Article(generous, title or None, tuple(line_spans(generous)))
    if not blocks:
        return data
    body = find_body(blocks, title, Extraction(cautious), extraction)
    text = "\n\n".join(blocks[i].text for i in body.order())
    if not complete and 2 * len(text) < len(generous):
        return data
    headline = _heading(body)
    shown = title if headline is None else blocks[headline].text
    return Article(text, shown or None, tuple(line_spans(text)), tuple(_dropped(body, headline)))


def _extract(tree: etree._Element, *, precise: bool, fast: bool) -> str:
    """The text that trafilatura finds, empty if it finds none."""
    import trafilatura  # a server, which has others read pages, needs it not
    from trafilatura.settings import Document

    document = trafilatura.bare_extraction(tree, include_comments=False, favor_precision=precise, fast=fast)
    return document.text or "" if isinstance(document, Document) else ""


def _find_title(tree: etree._Element) -> str:
    """Return the page's own title, without the name of the site if that can be told; may be empty.

    trafilatura's own search for it takes minutes on a page of many links, for it looks for dates too.
    """
    named = (str(content) for content in tree.xpath(_TITLES))
    shared = next((" ".join(title.split()) for title in named if title.strip()), "")
    if shared:
        return shared
    title = " ".join((tree.findtext(".//head/title") or "").split())
    return _SITE_NAME.split(title)[0]


def _heading(body: Body) -> int | None:
    """The page's main heading, if it says the same as the title or stands at the head of the article.

    It is a better title than the page's own, which often ends in the name of the site.
    """
    first = min(body.kept, default=0)
    heads = [i for i, block in enumerate(body.blocks) if block.tag == "h1"]
    same = (i for i in heads if is_headline(body.blocks[i], body.title))
    leading = (i for i in heads if i in body.inside and i < first and body.reasons.get(i) == "headline")
    return next(same, next(leading, None))


def _dropped(body: Body, headline: int | None) -> list[Dropped]:
    """Return the parts that are not read: neighbours of one reason together, unless parted."""
    order = body.order()
    first = min(body.kept, default=0)
    known: dict[etree._Element, Around] = {}
    left = (i for i in range(len(body.blocks)) if i not in body.kept and i != headline)
    groups = groupby(left, key=lambda i: (bisect(order, i), _reason(body, i, first, known)))
    return [
        Dropped("\n".join(body.blocks[i].text for i in numbers), reason) for (_, reason), numbers in groups
    ]


def _reason(body: Body, number: int, first: int, known: dict[etree._Element, Around]) -> str:
    """Why a block is not read; `first` is the first that is."""
    block = body.blocks[number]
    if is_headline(block, body.title) or body.reasons.get(number) == "headline":
        return "repeated headline"
    if number in body.reasons:
        return body.reasons[number]
    if number in body.inside:
        return "links" if block.link_share >= _MANY_LINKS else "not in sentences"
    around = look_around(block.path[1:], known).innermost
    if around is not None:
        return around
    if block.link_share >= _MANY_LINKS:
        return "navigation" if number < first else "related links"
    return "before the article" if number < first else "after the article"
