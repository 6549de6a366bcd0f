"""docs/equations.md: every function is there, every test is there, no equation is left out."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "equations.md").read_text()
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| (\(|Algorithm)", line)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_a_row_names_a_function_and_a_test_that_exist(row: str) -> None:
    functions = re.findall(r"`(dccl[\w.]+)`", row)
    tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
    assert len(functions) == len(tests) == 1
    module, name = functions[0].rsplit(".", 1)
    assert callable(getattr(importlib.import_module(module), name))
    path, test = tests[0]
    tree = ast.parse((ROOT / path).read_text())
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    # The test must know the function, or it would hold nothing to it.
    assert name in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_every_equation_of_the_paper_has_a_row_and_the_function_that_is_its_home() -> None:
    for number in range(1, 8):
        rows = [row for row in ROWS if f"({number})" in row.split("|")[1]]
        assert rows, f"Eq. ({number}) has no row"
        docs = []
        for row in rows:
            module, name = re.findall(r"`(dccl[\w.]+)`", row)[0].rsplit(".", 1)
            docs.append(getattr(importlib.import_module(module), name).__doc__ or "")
        assert any(re.match(rf"Eq\. [(\d), ]*\({number}\)", doc) for doc in docs), f"Eq. ({number})"


def test_every_departure_that_the_method_owns_up_to_is_on_the_page() -> None:
    for path in (ROOT / "src" / "dccl" / "method").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and "Differs:" in (ast.get_docstring(node) or ""):
                number = re.findall(r"Eq\. \((\d)\)", ast.get_docstring(node) or "")[0]
                below = PAGE.split("## Where we differ")[1]
                assert f"| ({number}) |" in below, f"{path.name}: {node.name}"
