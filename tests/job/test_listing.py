from pathlib import Path

import yaml

from dccl.job.config import RunConfig, load_config
from dccl.job.listing import listed


def test_the_listing_is_a_configuration_file_of_the_same_configuration(tmp_path: Path) -> None:
    config = load_config(None, ["rounds=3", "basis.junctions=[target]", "fit.compile=off"], Path("a: b.csv"))
    (tmp_path / "mine.yaml").write_text(listed(config))
    assert load_config(tmp_path / "mine.yaml", []) == config


def test_the_listing_of_the_defaults_is_plain_yaml() -> None:
    tree = yaml.safe_load(listed(RunConfig()))
    assert tree["fit"]["loop"]["clip"] == RunConfig().fit.loop.clip
    assert tree["data"] is None


def test_the_meaning_of_a_key_stands_above_it() -> None:
    lines = listed(RunConfig()).splitlines()
    clip = next(i for i, line in enumerate(lines) if line.strip().startswith("clip:"))
    assert lines[clip - 1].strip() == "# Largest gradient norm."
    assert all(len(line) <= 130 for line in lines)
