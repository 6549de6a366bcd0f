import errno
import json
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from dccl.cli import app
from dccl.job.config import load_config

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}


def _call(*arguments: str | Path) -> Any:  # noqa: ANN401  (typer's Result)
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(argument) for argument in arguments])


def _sets(changes: list[str]) -> list[str]:
    return [part for change in changes for part in ("--set", change)]


def _process(*arguments: str | Path, **more: Any) -> "subprocess.Popen[str]":  # noqa: ANN401
    return subprocess.Popen(
        [sys.executable, "-m", "dccl.cli", *map(str, arguments)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def _csv(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    return path


# --- help ---


def test_help_comes_at_once() -> None:
    """The best of three: a busy machine must not fail it. Nine tenths of a second would be torch."""
    took = []
    for _ in range(3):
        start = time.perf_counter()
        with _process("--help") as process:
            out, _ = process.communicate()
        took.append(time.perf_counter() - start)
        assert "Exit codes" in out
    assert min(took) < 0.6


@pytest.mark.parametrize("command", ["run", "data info", "data get", "config", "report"])
def test_each_command_has_help_with_an_example(command: str) -> None:
    done = _call(*command.split(), "--help")
    assert done.exit_code == 0
    assert f"Example: dccl {command}" in done.output


def test_the_help_of_the_download_names_every_public_set() -> None:
    from dccl.data.download import SETS

    shown = _call("data", "get", "--help").output
    assert [name for name in SETS if name not in shown] == []


def test_the_version_is_the_package_s() -> None:
    from dccl import __version__

    assert _call("--version").output == f"dccl {__version__}\n"


def test_the_exit_codes_in_the_help_are_those_of_the_errors() -> None:
    from dccl.wire import errors

    shown = set(re.findall(r"^ +(\d+)  \w", _call("--help").output, flags=re.MULTILINE))
    codes = {
        str(kind.exit_code)
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.DcclError)
    }
    assert shown == {"0", "130"} | codes


def _documented() -> Iterator[str]:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for block in re.findall(r"```bash\n(.*?)```", document.read_text(), flags=re.DOTALL):
            for line in block.splitlines():
                if re.match(r"(\.venv/bin/)?dccl ", line):
                    yield line.split(" #")[0].split(" >")[0].strip()


@pytest.mark.parametrize("line", sorted(set(_documented())))
def test_a_documented_command_line_fits_the_parser_and_the_configuration(line: str) -> None:
    words = shlex.split(line)[1:]
    command: Any = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    context = command.make_context(line, words)  # raises for an option or argument that does not exist
    changes = context.params.get("changes") or []
    load_config(None, [*changes, *(["data.path=x"] if any(c.startswith("data.") for c in changes) else [])])


# --- run ---


def test_run_writes_the_files_and_prints_where_they_are(tiny_run: list[str], tmp_path: Path) -> None:
    done = _call("run", *_sets(tiny_run), "--out", tmp_path / "run", "--seeds", "2")
    assert done.exit_code == 0, done.output
    assert f"report: {tmp_path}/run/report.html" in done.stdout
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert len(metrics["seeds"]) == 2
    assert "Plotly" in (tmp_path / "run" / "report.html").read_text()


def test_json_is_all_there_is_on_stdout(tiny_run: list[str], finished_run: Path) -> None:
    done = _call("run", *_sets(tiny_run), "--out", finished_run, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["metrics"] == f"{finished_run}/metrics.json"
    assert "seed 0: pretrain" in done.stderr


def test_run_on_a_log_tells_what_the_load_reported(tiny_run: list[str], tmp_path: Path) -> None:
    rows = [f"{user},{(7 * user + t) % 60},{t}" for user in range(30) for t in range(9)]
    log = _csv(tmp_path / "log.csv", *rows, "1,2,yesterday")
    changes = [change for change in tiny_run if not change.startswith("world.")]
    done = _call("run", "--data", log, *_sets(changes), "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert "1 of 271 rows are bad" in done.stderr


def test_report_makes_the_page_again_without_torch(finished_run: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; sys.modules['polars'] = None; from dccl.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "report", finished_run, "--out", tmp_path / "page.html"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"report: {tmp_path}/page.html\n"
    assert "<html" in (tmp_path / "page.html").read_text()[:500]


def test_config_prints_a_file_that_config_reads(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(_call("config", "--set", "rounds=3").stdout)
    again = _call("config", "--config", tmp_path / "mine.yaml", "--json")
    assert json.loads(again.stdout)["rounds"] == 3


def test_data_info_takes_the_keys_of_a_run(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("who,what,order\na,x,1\na,y,2\nb,x,1\n")
    done = _call(
        "data", "info", log, "--json", *_sets(["data.user=who", "data.item=what", "data.time=order"])
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["events"] == 3


# --- stopped ---


def test_ctrl_c_leaves_a_run_that_the_same_command_finishes(
    tiny_run: list[str], finished_run: Path, tmp_path: Path
) -> None:
    command = ("run", *_sets(tiny_run), "--out", tmp_path / "run")
    with _process(*command) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "backbone 1/2" in line:
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate()
    assert process.returncode == 130, err
    assert "the same command goes on from here" in err
    assert "Traceback" not in err
    assert out == ""
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert _call(*command).exit_code == 0
    figures, expected = (
        [seed["models"] for seed in json.loads((folder / "metrics.json").read_text())["seeds"]]
        for folder in (tmp_path / "run", finished_run)
    )
    assert figures == expected


def test_a_full_disk_is_one_message_and_the_run_goes_on_later(tiny_run: list[str], tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the write itself fails, as it does when a disk is full."""
    command = ("run", *_sets(tiny_run), "--out", tmp_path / "run")
    limit: Callable[[], None] = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # noqa: E731
    with _process(*command, preexec_fn=limit) as process:
        _, err = process.communicate()
    assert process.returncode == 5, err
    assert re.search(r"error: cannot write .*backbone\.safetensors: File too large", err)
    assert "Traceback" not in err
    assert not list((tmp_path / "run").rglob("*.part"))
    assert _call(*command).exit_code == 0


# --- bad input ---

BadInput = Callable[[Path], list[str | Path]]

BAD: dict[str, tuple[BadInput, int, str]] = {
    "missing file": (lambda p: ["--data", p / "none.csv"], 3, r"none\.csv does not exist.*dccl data get"),
    "wrong format": (
        lambda p: ["--data", _text(p, "Dear diary\n")],
        3,
        r"the format of .*log\.csv is not recogni",
    ),
    "binary file": (lambda p: ["--data", _bytes(p)], 3, r"log\.csv"),
    "empty file": (lambda p: ["--data", _text(p, "")], 3, r"log\.csv"),
    "empty log": (lambda p: ["--data", _csv(p / "log.csv")], 3, r"log"),
    "unknown format": (
        lambda p: ["--data", _csv(p / "log.csv", "1,1,1"), "--set", "data.format=excel"],
        2,
        r"data\.format is 'excel', expected",
    ),
    "unknown column": (
        lambda p: ["--data", _csv(p / "log.csv", "1,1,1"), "--set", "data.time=when"],
        3,
        r"has no column when for the time; it has user_id, item_id, timestamp",
    ),
    "one user with one event": (lambda p: ["--data", _csv(p / "log.csv", "1,1,1")], 3, r"one item only"),
    "users with one event": (
        lambda p: ["--data", _csv(p / "log.csv", "1,1,1", "2,2,1")],
        3,
        r"no user of the log log has 3 events \(the most active has 1\)",
    ),
    "one item": (
        lambda p: ["--data", _csv(p / "log.csv", *(f"{u},1,{t}" for u in range(9) for t in range(5)))],
        3,
        r"one item only.*Check which column",
    ),
    "one user": (
        lambda p: ["--data", _csv(p / "log.csv", *(f"1,{t},{t}" for t in range(9)))],
        3,
        r"met 9 of the 9 items.*give a log with more items",
    ),
    "too few items": (
        lambda p: [
            "--data",
            _csv(p / "log.csv", *(f"{u},{u * 3 + t},{t}" for u in range(20) for t in range(4))),
        ],
        3,
        r"--set evaluation\.num_negatives=57",
    ),
    "unknown key": (lambda p: ["--set", "basis.rnk=3"], 2, r"'basis\.rnk'; did you mean 'basis\.rank'"),
    "unknown section": (lambda p: ["--set", "bases.rank=3"], 2, r"'bases'; did you mean 'basis'"),
    "wrong type": (lambda p: ["--set", "basis.rank=eight"], 2, r"basis\.rank: expected int, got str"),
    "unknown word": (
        lambda p: ["--set", "basis.method=both"],
        2,
        r"basis\.method: invalid enum value 'both'",
    ),
    "out of range": (lambda p: ["--set", "basis.rank=0"], 2, r"basis\.rank must be at least 1, but is 0"),
    "no steps": (lambda p: ["--set", "basis.steps=0"], 2, r"basis\.steps must be at least 1"),
    "no history": (lambda p: ["--set", "history_length=0"], 2, r"history_length must be at least 1"),
    "no rounds": (lambda p: ["--rounds", "0"], 2, r"rounds must be at least 1"),
    "no seeds": (lambda p: ["--seeds", "-1"], 2, r"seeds must be at least 1"),
    "impossible world": (lambda p: ["--set", "world.num_items=3"], 2, r"world\.num_items must be at least"),
    "unknown junction": (
        lambda p: ["--set", "basis.junctions=[hidden3]"],
        2,
        r"no junction 'hidden3'\. There are: .*hidden2",
    ),
    "no configuration file": (lambda p: ["--config", p / "none.yaml"], 2, r"none\.yaml: No such file"),
    "configuration is a log": (
        lambda p: ["--config", _csv(p / "log.csv", "1,1,1")],
        2,
        r"must hold keys and values",
    ),
    "out is a file": (lambda p: ["--out", _csv(p / "log.csv")], 2, r"log\.csv is a file"),
    "out in a file": (
        lambda p: ["--out", _csv(p / "log.csv") / "run"],
        5,
        r"cannot write into .*log\.csv is a file",
    ),
    "out cannot be made": (
        lambda p: [*_sets(["world.num_users=20", "evaluation.num_negatives=9"]), "--out", Path("/proc/run")],
        5,
        r"cannot write into /proc/run",
    ),
    "out is somebody's": (lambda p: ["--out", p], 2, r"is not empty and holds no run"),
}


def _text(folder: Path, content: str) -> Path:
    (folder / "log.csv").write_text(content)
    return folder / "log.csv"


def _bytes(folder: Path) -> Path:
    (folder / "log.csv").write_bytes(bytes(range(256)) * 40)
    return folder / "log.csv"


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_message_and_writes_nothing(case: str, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    arguments, code, message = BAD[case]
    options = arguments(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    out = [] if "--out" in options else ["--out", tmp_path / "run"]
    done = _call("run", *options, *out)
    assert done.exit_code == code, done.output
    assert isinstance(done.exception, SystemExit)
    error = done.stderr[done.stderr.index("error: ") :]
    assert re.search(message, error), error
    assert error.count("\n") == 1, "one message, one line"
    assert done.stdout == ""
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "Missing option '--out'"),
        (["run", "--out", "x", "--sedes", "3"], "No such option"),
        (["run", "--out", "x", "--rounds", "two"], "Invalid value for '--rounds'"),
        (["run", "--out", "x", "--threads", "0"], "Invalid value for '--threads'"),
        (["rum"], "No such command 'rum'"),
        (["data", "info"], "Missing argument 'PATH'"),
    ],
)
def test_a_wrong_option_is_refused_with_exit_code_2(arguments: list[str], message: str) -> None:
    done = _call(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["data", "info", "none.csv"], 3, r"none\.csv does not exist"),
        (["data", "get", "netflix"], 2, r"no public set 'netflix'; known are ml-100k"),
        (["report", "none"], 3, r"none does not exist"),
        (["config", "--set", "nothing=1"], 2, r"unknown configuration key 'nothing'"),
    ],
)
def test_the_other_commands_refuse_in_the_same_way(
    arguments: list[str], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = _call(*arguments)
    assert done.exit_code == code
    assert re.search(f"^error: .*{message}", done.stderr)
    assert list(tmp_path.iterdir()) == []


def test_another_configuration_for_a_finished_run_is_refused_and_nothing_is_overwritten(
    tiny_run: list[str], finished_run: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished_run.rglob("*") if path.name != ".lock"}
    done = _call("run", *_sets([*tiny_run, "din.width=16"]), "--out", finished_run)
    assert done.exit_code == 2
    assert "differs in din.width (8 there, 16 now)" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_an_operating_system_error_of_a_write_is_a_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "cache/log.bin")

    monkeypatch.setattr("dccl.data.info.run_info", full)
    done = _call("data", "info", "log.csv")
    assert done.exit_code == 5
    assert "error: cannot write cache/log.bin: No space left on device" in done.stderr


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("dccl.data.info.run_info", broken)
    assert isinstance(_call("data", "info", "log.csv").exception, ZeroDivisionError)
