from pathlib import Path

import msgspec
import pytest

from dccl.data.config import DataConfig
from dccl.job.config import RunConfig, load_config
from dccl.job.keys import read_section
from dccl.wire.errors import ConfigError


def test_without_file_and_changes_everything_has_its_default() -> None:
    assert load_config(None, []) == RunConfig()


def test_a_change_beats_the_file_and_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("fit: {loop: {epochs: 7, clip: 2}}\nrounds: 4\n")
    config = load_config(file, ["fit.loop.epochs=9"])
    assert (config.fit.loop.epochs, config.fit.loop.clip, config.rounds) == (9, 2.0, 4)
    assert config.fit.loop.patience == RunConfig().fit.loop.patience


def test_values_are_read_as_yaml_in_which_on_and_off_are_words() -> None:
    changes = ["basis.junctions=[target, hidden1]", "fit.compile=off", "evaluation.full=false"]
    config = load_config(None, [*changes, "fit.loop.learning_rate=1e-4"], Path("a/log.csv"))
    assert config.basis.junctions == ("target", "hidden1")
    assert (config.fit.compile, config.evaluation.full) == ("off", False)
    assert config.fit.loop.learning_rate == 0.0001
    assert config.data is not None
    assert config.data.path == "a/log.csv"


def test_the_config_json_of_a_run_is_a_configuration_file(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    config = load_config(None, ["rounds=3"])
    file.write_bytes(msgspec.json.encode({"config": config, "data_checksum": "abc"}))
    assert load_config(file, []) == config
    assert load_config(file, [], Path("log.csv")).data == DataConfig(path="log.csv")


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing yet\n")
    assert load_config(tmp_path / "empty.yaml", []) == RunConfig()


def test_a_section_can_be_read_by_itself_under_its_name() -> None:
    config = read_section("data", DataConfig, ["data.time=order"], {"data.path": "log.csv"})
    assert config == DataConfig(path="log.csv", time="order")
    with pytest.raises(ConfigError, match=r"'data\.tme'; did you mean 'data\.time'"):
        read_section("data", DataConfig, ["data.tme=order"], {"data.path": "log.csv"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "fit.loop.epoch=3",
            r"unknown configuration key 'fit\.loop\.epoch'; did you mean 'fit\.loop\.epochs'",
        ),
        ("basi.rank=3", r"unknown configuration key 'basi'; did you mean 'basis'"),
        ("rounds=many", r"rounds: expected int, got str.*`dccl config`"),
        ("rounds=true", r"rounds: expected int, got bool"),
        ("rounds=1.5", r"rounds: expected int, got float"),
        ("rounds.first=1", r"rounds: expected int, got object"),
        ("fit.compile=maybe", r"fit\.compile: invalid enum value 'maybe'"),
        ("fit=3", r"fit: expected object, got int"),
        ("din.hidden=[1,2,3]", r"din\.hidden: expected array of length 2"),
        ("rounds", r"--set takes key=value, but came 'rounds'"),
        ("=3", r"--set takes key=value, but came '=3'"),
        ("basis.junctions=[a", r"--set basis\.junctions=\[a: the value cannot be read as YAML"),
        ("data.time=order", r"data: object missing required field path"),
    ],
)
def test_a_wrong_change_is_one_line_that_names_the_key(change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(None, [change])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a\n- b\n", "must hold keys and values, not list"),
        (b"a: [1", "neither YAML nor JSON"),
        (b"\xff\xfe\x00", "is not text"),
        (b"epochs: 3\n", "unknown configuration key 'epochs'"),
        (b"rounds: 2\nrounds: {a: b\n", "neither YAML nor JSON"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_config(file, [])


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*none\.yaml: No such file"):
        load_config(tmp_path / "none.yaml", [])
