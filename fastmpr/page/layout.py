"""The shapes that parts of a page have: sections, tables, lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .markup import Html, tag

_LINES = 12  # of a list that may be long
_LETTERS = 400  # of a line


def section(heading: str, text: Sequence[Any], pictures: Sequence[Html] = ()) -> Html:
    """Return a part of the page: one picture beside its text, several below it."""
    words = tag("div", *text, class_="words")
    beside = "beside" if len(pictures) == 1 else "below"
    content = tag("div", words, *pictures, class_=beside) if pictures else words
    return tag("section", tag("h2", heading), content)


def not_measured(heading: str, why: str) -> Html:
    """Return a part that has nothing to tell."""
    words = tag("p", tag("b", "Not measured."), " ", why, class_="missing")
    return tag("section", tag("h2", heading), words, class_="absent")


def table(caption: str | None, head: Sequence[Any], rows: Sequence[Sequence[Any]]) -> Html:
    """Return a table; the first cell of each row names it."""
    first = tag("thead", tag("tr", [tag("th", cell, scope="col") for cell in head])) if head else None
    body = tag(
        "tbody", [tag("tr", tag("th", row[0], scope="row"), [tag("td", one) for one in row[1:]]) for row in rows]
    )
    title = None if caption is None else tag("caption", caption)
    return tag("div", tag("table", title, first, body), class_="table")


def long(text: str) -> Html:
    """Return a text that may be broken anywhere, in a cell of a table."""
    return tag("span", text, class_="long")


def lines(texts: Sequence[str], most: int = _LINES) -> Html:
    """Return texts as a list, long ones shortened; of many the first, and how many more there are."""
    items = [tag("li", shortened(text)) for text in texts[:most]]
    if len(texts) > most:
        items.append(tag("li", f"and {len(texts) - most:,} more, in the record", class_="more"))
    return tag("ul", items)


def shortened(text: Any, most: int = _LETTERS) -> str:
    """Return a text, cut if it has more than ``most`` letters."""
    text = str(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"
