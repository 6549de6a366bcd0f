"""Every string is escaped on its way into the page."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from dccl.report.markup import Markup, joined, tag


class Reader(HTMLParser):
    """What a browser's parser sees: tags, attributes, text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


# A parser normalises line ends and drops NUL; what is left must come back as it was.
words = st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]))


@given(words, words)
def test_any_text_and_attribute_comes_back_as_it_was(text: str, attribute: str) -> None:
    reader = Reader()
    reader.feed(tag("p", text, title=attribute))
    reader.close()
    assert reader.tags == [("p", {"title": attribute})]
    assert reader.text == text


def test_only_markup_is_taken_as_markup() -> None:
    assert tag("p", tag("b", "x"), "<i>") == "<p><b>x</b>&lt;i&gt;</p>"
    assert joined(["<", Markup("<hr>"), None, ["&"]]) == "&lt;<hr>&amp;"


def test_attributes_that_are_none_or_false_are_left_out_and_true_stand_bare() -> None:
    assert tag("td", class_="a", id=None, hidden=True, inert=False, colspan=2, aria_label="b") == (
        '<td class="a" hidden colspan="2" aria-label="b"></td>'
    )


def test_void_elements_are_not_closed() -> None:
    assert tag("br") == "<br>"
