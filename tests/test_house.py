"""The house rules that no linter knows: each is a sentence here, and fails with the place that breaks it."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "dccl"
FILES = sorted(SOURCE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in FILES}

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
VAGUE = {"util", "utils", "common", "helper", "helpers", "base", "misc", "core", "shared"}
PICKLERS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _place(path: Path, node: ast.AST | None = None) -> str:
    line = f":{node.lineno}" if node is not None and hasattr(node, "lineno") else ""
    return f"{path.relative_to(ROOT)}{line}"


def _python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process that finds src/."""
    start = f"import sys; sys.path.insert(0, {str(SOURCE.parent)!r})\n"
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=False)


def _without(*packages: str) -> str:
    """Code that makes the import of `packages` fail, as if they were not installed."""
    return f"for name in {packages!r}: sys.modules[name] = None\n"


def test_there_is_source_to_check() -> None:
    assert len(FILES) > 10
    assert SOURCE / "wire" / "errors.py" in FILES


# --- who needs what ---


@pytest.mark.skipif(not (SOURCE / "device").exists(), reason="dccl.device is not there yet")
def test_a_device_runs_where_nothing_of_the_cloud_is_installed() -> None:
    run = _python(
        _without(
            "torch",
            "polars",
            "pyarrow",
            "plotly",
            "typer",
            "rich",
            "pooch",
            "platformdirs",
            "yaml",
        )
        + "import importlib, pkgutil, dccl.device, dccl.wire\n"
        "for package in (dccl.wire, dccl.device):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
    )
    assert run.returncode == 0, run.stderr


def test_hiding_a_package_from_a_process_works() -> None:
    """The test above would pass for the wrong reason if the hiding did nothing."""
    run = _python(_without("msgspec") + "import dccl.wire.results")
    assert run.returncode != 0
    assert "msgspec" in run.stderr


@pytest.mark.skipif(not (SOURCE / "cli.py").exists(), reason="dccl.cli is not there yet")
def test_the_command_line_loads_nothing_heavy_before_a_command_needs_it() -> None:
    run = _python("import dccl.cli; print(sorted({'torch', 'polars', 'plotly'} & set(sys.modules)))")
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


def test_the_base_dependencies_are_those_of_a_device() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=\[]", dependency)[0] for dependency in project["dependencies"]}
    assert names == {"numpy", "onnxruntime", "safetensors", "msgspec"}


def test_everything_declared_is_pinned_and_torch_exactly_so() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *extras["cloud"], *extras["dev"]]
    names = {re.split(r"[<>=\[]", dependency)[0].lower() for dependency in declared} - {"dccl"}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins), pins
    pinned = {pin.split("==")[0].lower().replace("_", "-") for pin in pins}
    assert names <= pinned, f"not in constraints.txt: {names - pinned}"
    assert "torch==2.13.0" in pins


# --- names and sizes ---


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    vague = [_place(path) for path in [*FILES, *SOURCE.iterdir()] if path.stem.strip("_") in VAGUE]
    assert vague == []


def test_no_file_is_longer_than_500_lines() -> None:
    long = [_place(path) for path in FILES if len(path.read_text().splitlines()) > MAX_FILE_LINES]
    assert long == []


def test_no_function_is_longer_than_60_lines() -> None:
    long = [
        f"{_place(path, node)} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_an_init_file_holds_a_docstring_and_public_names_only() -> None:
    for path in (path for path in FILES if path.name == "__init__.py"):
        assert ast.get_docstring(TREES[path]), f"{_place(path)} says not what the package is for"
        for node in TREES[path].body[1:]:
            listing = isinstance(node, ast.Import | ast.ImportFrom)
            named = isinstance(node, ast.Assign) and {ast.unparse(target) for target in node.targets} <= {
                "__all__",
                "__version__",
            }
            assert listing or named, f"{_place(path, node)} is more than a list of names"


def test_a_test_stands_where_its_subject_stands() -> None:
    strays = [
        _place(path)
        for path in (ROOT / "tests").rglob("test_*.py")
        if path.parent != ROOT / "tests" and not (SOURCE / path.parent.relative_to(ROOT / "tests")).is_dir()
    ]
    assert strays == []


# --- safety ---


def _pickling(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and {alias.name.split(".")[0] for alias in node.names} & PICKLERS:
            yield node
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PICKLERS:
            yield node
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"torch.load", "torch.save"}:
            yield node
        if (
            isinstance(node, ast.keyword)
            and node.arg == "allow_pickle"
            and ast.unparse(node.value) != "False"
        ):
            yield node.value


def test_nothing_is_pickled_or_unpickled() -> None:
    found = [_place(path, node) for path, tree in TREES.items() for node in _pickling(tree)]
    assert found == []


@pytest.mark.parametrize(
    "code", ["import pickle", "from joblib import load", "torch.load(p)", "np.load(p, allow_pickle=True)"]
)
def test_the_search_for_pickle_finds_it(code: str) -> None:
    assert list(_pickling(ast.parse(code)))


def test_a_configuration_is_frozen_keyword_only_and_refuses_unknown_keys() -> None:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Config"):
                flags = {keyword.arg for keyword in node.keywords if ast.unparse(keyword.value) == "True"}
                assert {"frozen", "kw_only", "forbid_unknown_fields"} <= flags, _place(path, node)


# --- the paper ---


def _homes() -> dict[int, list[str]]:
    """Equation number to the places whose docstring opens with it: "Eq. (2): ...", "Eq. (3), (4): ..."."""
    homes: dict[int, list[str]] = {}
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            text = (ast.get_docstring(node) or "") if isinstance(node, Documented) else ""
            if opening := re.match(r"Eq\. ((?:\(\d\)(?:, | and )?)+)[:,]? ", text):
                for number in re.findall(r"\d", opening[1]):
                    homes.setdefault(int(number), []).append(_place(path, node))
    return homes


@pytest.mark.skipif(not (SOURCE / "method").exists(), reason="dccl.method is not there yet")
def test_each_equation_has_exactly_one_home_and_it_is_in_the_method() -> None:
    homes = _homes()
    assert sorted(homes) == [1, 2, 3, 4, 5, 6, 7]
    for number, places in homes.items():
        assert len(places) == 1, f"Eq. ({number}) has {places}"
        assert places[0].startswith("src/dccl/method/"), f"Eq. ({number}) lives at {places[0]}"
