"""metrics.json comes back as it was written, or is refused with a reason."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from dccl.report.record import Reading, load_record
from dccl.wire.errors import DataError
from dccl.wire.files import write_json
from dccl.wire.results import RunRecord

MakeRun = Callable[..., RunRecord]


def test_a_written_record_is_read_back_equal(make_run: MakeRun, tmp_path: Path) -> None:
    write_json(tmp_path / "metrics.json", make_run())
    assert load_record(tmp_path / "metrics.json") == make_run()


def test_an_unknown_new_field_is_no_obstacle(make_run: MakeRun, tmp_path: Path) -> None:
    content = msgspec.to_builtins(make_run())
    content["added_later"] = 1
    write_json(tmp_path / "m.json", content)
    assert load_record(tmp_path / "m.json") == make_run()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json does not exist"):
        load_record(tmp_path / "none.json")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*Give a run's metrics\.json"):
        load_record(tmp_path)


def test_a_file_cut_short_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    content = msgspec.json.encode(make_run())
    (tmp_path / "m.json").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"m\.json is not valid JSON"):
        load_record(tmp_path / "m.json")


@pytest.mark.parametrize("content", ["[]", "null", '{"format": "dccl-metrics/99"}', '{"some": "thing"}'])
def test_another_format_is_refused_by_name(content: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(content)
    with pytest.raises(DataError, match="this version reads 'dccl-metrics/1'"):
        load_record(tmp_path / "m.json")


def test_a_wrong_type_is_refused_with_its_place(make_run: MakeRun, tmp_path: Path) -> None:
    content = msgspec.to_builtins(make_run())
    content["data"]["num_users"] = "many"
    write_json(tmp_path / "m.json", content)
    with pytest.raises(DataError, match=r"damaged or was edited: .*\$\.data\.num_users"):
        load_record(tmp_path / "m.json")


def test_means_and_spread_are_over_seeds(make_run: MakeRun) -> None:
    run = make_run(num_seeds=3)
    values = [seed.models["dccl-e"]["full"].ndcg_10 for seed in run.seeds]
    spread = Reading(run).spread("dccl-e", "full", "ndcg@10")
    assert spread is not None
    mean = sum(values) / 3
    assert spread.mean == pytest.approx(mean)
    assert spread.deviation == pytest.approx((sum((v - mean) ** 2 for v in values) / 2) ** 0.5)


def test_one_seed_has_no_spread_and_a_model_never_measured_no_figure(make_run: MakeRun) -> None:
    reading = Reading(make_run(num_seeds=1))
    spread = reading.spread("din", "full", "auc")
    assert spread is not None
    assert spread.deviation is None
    assert reading.spread("unheard-of", "full", "auc") is None


def test_sampled_rankings_come_first_and_dccl_e_is_in_focus(make_run: MakeRun) -> None:
    reading = Reading(make_run())
    assert reading.rankings == ["sampled-100", "full"]
    assert (reading.baseline, reading.focus) == ("din", "dccl-e")


def test_seeds_that_disagree_about_groups_have_no_group_means(make_run: MakeRun) -> None:
    run = make_run(num_seeds=2)
    short = msgspec.structs.replace(run.seeds[0].models["din"]["sampled-100"], groups=(0.5,))
    run.seeds[0].models["din"]["sampled-100"] = short
    assert Reading(run).group_means("din") == []
    assert len(Reading(run).group_means("dccl-e")) == 20
