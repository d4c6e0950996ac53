"""HTML that is well formed by construction: elements are closed where they are opened, and text is escaped unless marked."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

_VOID = {"meta", "link", "img", "br"}  # elements without an end tag


class Html(str):
    """Text that is markup already; all other text is escaped."""

    __slots__ = ()


def tag(name: str, /, *content: Any, **attributes: Any) -> Html:
    """Return an element.

    Parameters
    ----------
    name : str
    *content
        Text, which is escaped, `Html`, which is not, or iterables of them; None is nothing.
    **attributes
        ``class_`` stands for ``class``, ``http_equiv`` for ``http-equiv``; None is left out.

    Examples
    --------
    >>> tag("p", "a < b", tag("b", "!"), class_="x")
    '<p class="x">a &lt; b<b>!</b></p>'
    """
    given = {key.strip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    inside = "".join(f' {key}="{escaped(value)}"' for key, value in given.items())
    if name in _VOID:
        return Html(f"<{name}{inside}>")
    return Html(f"<{name}{inside}>{joined(content)}</{name}>")


def joined(content: Any) -> Html:
    """Return pieces of content as markup."""
    if content is None:
        return Html("")
    if isinstance(content, Html):
        return content
    if isinstance(content, str) or not isinstance(content, Iterable):
        return escaped(content)
    return Html("".join(map(joined, content)))


def escaped(value: Any) -> Html:
    """Return a value as text that no reader takes for markup; letters that cannot be shown get their Python names."""
    text = "".join(letter if _is_text(letter) else repr(letter)[1:-1] for letter in str(value))
    return Html(html.escape(text))


def _is_text(letter: str) -> bool:
    """Return whether a letter may stand in HTML and does not change the order of those around it."""
    return letter in "\n\t" or letter.isprintable()
