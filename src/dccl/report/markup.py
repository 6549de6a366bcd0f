"""HTML built as values, so that no string reaches the page unescaped unless it was built here."""

import html
from collections.abc import Iterable

Attribute = str | int | bool | None
Child = str | Iterable["Child"] | None

_VOID = frozenset({"meta", "br", "hr", "img", "link", "col"})


class Markup(str):
    """Text that is HTML already; every other `str` is escaped when it becomes a child or an attribute."""

    __slots__ = ()


def tag(name: str, *children: Child, **attributes: Attribute) -> Markup:
    """An element. None and False attributes are left out, True ones stand bare; `class_` becomes `class`.

    >>> tag("td", "<script>", class_="name")
    '<td class="name">&lt;script&gt;</td>'
    >>> tag("th", tag("b", "x"), scope="col", aria_label='"y"')
    '<th scope="col" aria-label="&quot;y&quot;"><b>x</b></th>'
    """
    opening = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    if name in _VOID:
        return Markup(opening)
    return Markup(f"{opening}{joined(children)}</{name}>")


def joined(children: Child) -> Markup:
    """Children one after the other; plain strings are escaped, None is nothing."""
    if children is None:
        return Markup()
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return Markup(html.escape(children))
    return Markup("".join(joined(child) for child in children))


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
