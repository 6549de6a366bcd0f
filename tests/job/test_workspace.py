import json
from pathlib import Path

import numpy as np
import pytest

from dccl.job.config import RunConfig, load_config
from dccl.job.workspace import check_folder, opened
from dccl.wire.errors import CheckpointError, ConfigError, DataError, DcclError, StorageError

CONFIG = RunConfig()


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _begin(folder: Path, config: RunConfig = CONFIG, checksum: str = "log-1") -> str:
    with opened(folder, config, checksum) as workspace:
        return workspace.belongs_to


def test_a_new_folder_gets_the_resolved_configuration(tmp_path: Path) -> None:
    _begin(tmp_path / "a" / "run")
    written = json.loads((tmp_path / "a" / "run" / "config.json").read_text())
    assert written["config"]["fit"]["loop"]["epochs"] == CONFIG.fit.loop.epochs
    assert written["data_checksum"] == "log-1"


def test_the_same_run_goes_on_and_may_grow(tmp_path: Path) -> None:
    grown = load_config(None, ["rounds=3", "seeds=5"])
    assert _begin(tmp_path) == _begin(tmp_path) == _begin(tmp_path, grown)
    assert json.loads((tmp_path / "config.json").read_text())["config"]["seeds"] == 5


def test_a_finished_run_does_not_shrink(tmp_path: Path) -> None:
    _begin(tmp_path, load_config(None, ["seeds=3"]))
    _begin(tmp_path)  # nothing was finished yet, so nothing is lost
    _begin(tmp_path, load_config(None, ["seeds=3"]))
    (tmp_path / "metrics.json").write_text("{}")
    before = _contents(tmp_path)
    with pytest.raises(ConfigError, match="a run with 3 seeds; it may grow, but 1 would throw"):
        _begin(tmp_path)
    assert _contents(tmp_path) == before


def test_another_configuration_is_refused_by_its_keys_and_nothing_is_overwritten(tmp_path: Path) -> None:
    _begin(tmp_path)
    before = _contents(tmp_path)
    with pytest.raises(ConfigError, match=r"differs in basis\.rank \(8 there, 5 now\).*--out"):
        _begin(tmp_path, load_config(None, ["basis.rank=5"]))
    assert _contents(tmp_path) == before


def test_another_log_is_refused_and_nothing_is_overwritten(tmp_path: Path) -> None:
    _begin(tmp_path)
    before = _contents(tmp_path)
    with pytest.raises(DataError, match="a run on another log"):
        _begin(tmp_path, checksum="log-2")
    assert _contents(tmp_path) == before


def test_the_same_log_at_another_place_is_the_same_run(tmp_path: Path) -> None:
    here, there = (load_config(None, [], Path(path)) for path in ("log.csv", "elsewhere/log.csv"))
    assert _begin(tmp_path, here) == _begin(tmp_path, there)


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "metrics.json"])
def test_a_folder_of_somebody_else_is_refused_and_stays_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match="is not empty and holds no run of dccl"):
        _begin(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("content", ["{", "[]", '{"config": 1, "data_checksum": "x"}', '{"name": "app"}'])
def test_a_config_json_of_somebody_else_is_refused_and_stays_as_it_is(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConfigError, match="--out"):
        _begin(tmp_path)
    assert (tmp_path / "config.json").read_text() == content


def test_what_a_process_killed_at_its_start_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("123\n")
    (tmp_path / ".config.json.abc.part").write_text("{")
    _begin(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "config.json"]


def test_half_written_files_of_a_killed_process_are_swept(tmp_path: Path) -> None:
    _begin(tmp_path)
    (tmp_path / "seed-0").mkdir()
    (tmp_path / "seed-0" / ".basis.safetensors.abc.part").write_text("x")
    _begin(tmp_path)
    assert list((tmp_path / "seed-0").iterdir()) == []


def test_a_second_process_is_told_who_works_in_the_folder(tmp_path: Path) -> None:
    with (
        opened(tmp_path, CONFIG, "log-1"),
        pytest.raises(DcclError, match=r"another dccl \(process \d+\)") as e,
    ):
        _begin(tmp_path)
    assert e.value.exit_code == 1
    _begin(tmp_path)  # free again


def test_the_folder_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), opened(tmp_path, CONFIG, "log-1"):
        raise KeyboardInterrupt
    _begin(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        check_folder(tmp_path / "file", CONFIG)


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match=r"file is a file.*--out"):
        _begin(tmp_path / "file" / "run")


def test_state_of_another_run_is_not_loaded(tmp_path: Path) -> None:
    with opened(tmp_path / "one", CONFIG, "log-1") as one, opened(tmp_path / "two", CONFIG, "log-2") as two:
        one.save(one.stage(0, "surrogates-1"), {"x": np.arange(3)}, {"fact": "kept"})
        arrays, facts = one.load(one.stage(0, "surrogates-1"))
        assert arrays["x"].tolist() == [0, 1, 2]
        assert facts["fact"] == "kept"
        with pytest.raises(CheckpointError, match="made from other data or another configuration"):
            two.load(one.stage(0, "surrogates-1"))


def test_a_folder_without_permission_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(StorageError, match=r"no permission in .*--out"):
        check_folder(tmp_path / "run", CONFIG)
    assert list(tmp_path.iterdir()) == []
