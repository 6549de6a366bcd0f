"""docs/metrics.md lists exactly the fields that metrics.json has."""

import re
from pathlib import Path

import msgspec
import pytest

from dccl.wire import results

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
RECORDS = {
    name: value
    for name, value in vars(results).items()
    if isinstance(value, type) and issubclass(value, msgspec.Struct) and value is not msgspec.Struct
}


def documented() -> dict[str, list[str]]:
    """Field names by heading, in the order listed."""
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = {
        section.split("\n", 1)[0]: re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
        for section in sections
    }
    return {name: fields for name, fields in found.items() if fields}


def test_every_record_has_its_section() -> None:
    assert set(documented()) == set(RECORDS)


@pytest.mark.parametrize("name", RECORDS)
def test_a_section_lists_the_fields_as_json_spells_them(name: str) -> None:
    assert documented()[name] == [field.encode_name for field in msgspec.structs.fields(RECORDS[name])]


def test_the_page_names_the_format() -> None:
    assert f"`{results.FORMAT}`" in PAGE.read_text(encoding="utf-8")
