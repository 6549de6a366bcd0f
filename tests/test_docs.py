"""What the documents say is so: links lead somewhere, commands exist, lists match the code."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dccl.wire import errors

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


def _text(name: str) -> str:
    return (ROOT / name).read_text()


def _anchors(text: str) -> set[str]:
    """Anchors as GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _code(text: str) -> list[str]:
    """Lines of the fenced blocks, comments cut off."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL)
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_every_link_to_a_file_or_heading_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", _text(name)) + re.findall(
        r'(?:src|srcset|href)="([^"]+)"', _text(name)
    )
    for link in links:
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        target, _, anchor = link.partition("#")
        file = (ROOT / name).parent / target if target else ROOT / name
        assert file.exists(), f"{name}: {link} leads nowhere"
        if anchor:
            assert anchor in _anchors(file.read_text()), f"{name}: {link} names no heading"


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path not in reached and path.suffix == ".md":
            reached.add(path)
            links = re.findall(r"\]\(([^)#\s]+)", path.read_text())
            waiting += [(path.parent / link).resolve() for link in links if (path.parent / link).is_file()]
    assert set(DOCUMENTS) - reached == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_make_command_in_a_document_is_a_target(name: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", _text("Makefile"), flags=re.MULTILINE))
    used = set(re.findall(r"`make ([a-z]+)", _text(name)))
    used |= {match[1] for line in _code(_text(name)) if (match := re.match(r"make ([a-z]+)", line))}
    assert used <= targets, f"{name}: no target {used - targets}"


def test_the_readme_shows_the_two_commands() -> None:
    assert {"make demo", "make test"} <= set(_code(_text("README.md")))


def test_make_help_lists_every_target_that_is_for_people() -> None:
    makefile = _text("Makefile")
    listed = set(re.findall(r"^#   make ([a-z]+)", makefile, flags=re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)[0].split())
    assert phony - listed == {"help", "style", "types", "imports", "constraints"}
    assert listed <= phony


def test_the_documented_exit_codes_are_those_of_the_errors() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", _text("docs/quickstart.md"), flags=re.MULTILINE)
    documented = {name: int(code) for code, name in rows}
    tree = {
        cls.__name__: cls.exit_code
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, errors.DcclError)
    }
    assert documented == tree
    for name, code in re.findall(r"(\w+Error) +(?:exit code )?(\d)", errors.__doc__ or ""):
        assert tree[name] == int(code), f"the tree in errors.py says {name} {code}"


def test_the_architecture_page_lists_every_package() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", _text("docs/architecture.md"), flags=re.MULTILINE))
    packages = {path.parent.name for path in (ROOT / "src" / "dccl").glob("*/__init__.py")}
    assert packages <= listed, f"not in docs/architecture.md: {packages - listed}"


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.svg")), ids=lambda path: path.name)
def test_a_picture_is_well_formed_says_what_it_shows_and_loads_nothing(path: Path) -> None:
    root = ElementTree.parse(path).getroot()
    assert root.find("{http://www.w3.org/2000/svg}title") is not None
    assert root.find("{http://www.w3.org/2000/svg}desc") is not None
    assert "http" not in path.read_text().replace("http://www.w3.org/", "")
    assert "<script" not in path.read_text()


def test_the_changelog_speaks_of_this_version_or_of_the_next() -> None:
    assert re.search(r"^## \[?(Unreleased|0\.1\.0)", _text("CHANGELOG.md"), flags=re.MULTILINE)
    assert "Apache License" in _text("LICENSE")


@pytest.mark.parametrize("name", NAMES)
def test_no_document_holds_a_path_of_somebodys_machine(name: str) -> None:
    assert not re.search(r"/(home|root|Users|work)/", _text(name))
