import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from dccl.data.cache import load
from dccl.data.config import DataConfig
from dccl.data.info import LogInfo, describe, print_info, run_info


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    rows = ["u,a,0", "u,b,86400", "u,a,172800", "v,a,3600", "v,c"]
    path.write_text("user_id,item_id,timestamp\n" + "\n".join(rows))
    return path


def test_the_figures_are_those_counted_by_hand(log_file: Path) -> None:
    info = describe(*load(DataConfig(path=str(log_file), allow_bad=0.5)))
    assert (info.users, info.items, info.events, info.evaluated_users) == (2, 2, 4, 1)
    assert info.density == 3 / 4  # (u, a), (u, b), (v, a) of four pairs
    assert info.repeats == 1 / 4
    assert (info.events_per_user["0%"], info.events_per_user["50%"], info.events_per_user["100%"]) == (
        1,
        2,
        3,
    )
    assert info.events_per_item["mean"] == 2
    assert (info.first_event, info.last_event) == ("1970-01-01T00:00:00+00:00", "1970-01-03T00:00:00+00:00")
    assert info.report.bad == {"no time": 1}


def test_the_printed_tables_name_the_bad_row_and_the_sizes(log_file: Path) -> None:
    out = io.StringIO()
    print_info(describe(*load(DataConfig(path=str(log_file), allow_bad=0.5))), Console(file=out, width=200))
    text = out.getvalue()
    assert "bad row: log.csv line 6: no time" in text
    assert "2 (1 with at least 3 events)" in text
    assert "1970-01-01T00:00:00+00:00 to 1970-01-03" in text


def test_json_output_can_be_read_back(log_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_info(DataConfig(path=str(log_file), allow_bad=0.5), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert set(found) == set(LogInfo.__struct_fields__)
    assert found["report"]["examples"] == [{"file": "log.csv", "line": 6, "reason": "no time"}]
