"""Finding the blocks of a page that are its article, with a reason for each of the others.

trafilatura's two readings of a page, a cautious and a generous one, vote for blocks. The lowest element that
holds nearly all the cautious votes is the article's; inside it furniture is dropped, and what the votes left
out is taken back where it reads like the text around it. Knows nothing of HTML's syntax.

F1 on the sets that `page` names, with all steps 0.991 on pages and 0.938 on segments; without
    _unless_a_scrap                                             0.991   0.934
and of that, without
    the names of elements (`element_reason`)                    0.987   0.926
    all rules on wording                                        0.985   0.926
    _mark_link_runs                                             0.989   0.931
    _drop_opening                                               0.989   0.934
    _recover                                                    0.987   0.927
    _take_lead                                                  0.990   0.921
    _drop_calls                                                 0.987   0.926
    _trim                                                       0.990   0.934
Tried on the way, when it stood at 0.988 and 0.927, and left out: votes of the generous reading (0.983,
0.931); dropping whatever the article says twice, which takes refrains and the lines of recipes (0.001 less);
the element with 0.75 of the votes (0.976, 0.921; from 0.80 to 0.95 pages change by less than 0.001).
"""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

from lxml import etree

from models.text.article.block import Block, words
from models.text.article.extraction import Extraction, grams
from models.text.article.furniture import (
    Around,
    call_reason,
    closing_reason,
    element_reason,
    is_related_link,
    look_around,
    opening_reason,
)

_ROOT_SHARE = 0.9
_LEAST_ARTICLE_WORDS = 40
_MOST_FURNITURE = 0.5
"""A kind of furniture with more of the article than this share was told by a misleading name."""
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
        _mark_furniture,
        _mark_link_runs,
        _take_votes,
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


def _mark_furniture(body: Body) -> None:
    """Name what is furniture by its elements or its wording; quotations, such as posts, are none."""
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
    body.reasons |= {i: reason for i, reason in found.items() if held[reason] <= _MOST_FURNITURE * total}
    body.reasons |= {
        i: "related links" for i in body.inside if i not in body.reasons and is_related_link(body.blocks[i])
    }


def _mark_link_runs(body: Body) -> None:
    """Several links in a row are a list of other pages; a short line before them is its heading."""
    order = sorted(body.inside)
    total = sum(len(body.blocks[i].words) for i in order if i in body.cautious)
    start = 0
    for end in range(len(order) + 1):
        if end < len(order) and _is_link(body.blocks[order[end]]):
            continue
        run = order[start:end]
        size = sum(len(body.blocks[i].words) for i in run if i in body.cautious)
        if len(run) >= _LINK_RUN and size < _MOST_FURNITURE * total:
            before = order[start - 1 : start] if start else []
            label = [i for i in before if len(body.blocks[i].words) <= 5 and not body.blocks[i].is_prose]
            for i in label + run:
                body.reasons.setdefault(i, "related links")
        start = end + 1


def _is_link(block: Block) -> bool:
    return block.link_share >= 0.75 and len(block.words) >= 2


def _take_votes(body: Body) -> None:
    body.kept = {i for i in body.inside if i in body.cautious and i not in body.reasons}


def _drop_opening(body: Body) -> None:
    """Headlines, bylines and dates before the first sentence, and the page's title wherever it stands."""
    opening = True
    for i in body.order():
        block = body.blocks[i]
        opening = opening and not block.is_prose
        heads = opening and (block.tag == "h1" or is_headline(block, body.title))
        if heads or (block.words and block.words == body.title):
            body.drop(i, "headline")
        elif opening and (reason := opening_reason(block)):
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
        reason = call_reason(block, at_edge=at == 0 or left <= 4)
        reason = reason or (closing_reason(block) if left <= 6 else None)
        if reason:
            body.drop(i, reason)


def _trim(body: Body) -> None:
    """Links at both ends, and headings that nothing follows."""
    order = deque(body.order())
    while len(order) > _FEWEST_LEFT and _dangles(body.blocks[order[-1]]):
        body.drop(order.pop(), "related links")
    while len(order) > _FEWEST_LEFT and body.blocks[order[0]].link_share >= _EDGE_LINKS:
        body.drop(order.popleft(), "navigation")


def _dangles(block: Block) -> bool:
    return block.link_share >= _EDGE_LINKS or block.is_heading
