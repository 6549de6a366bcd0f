"""The README's result table holds exactly what stands in results/, row by row."""

from pathlib import Path

import msgspec
import pytest

from dccl.wire.results import RunRecord

ROOT = Path(__file__).parents[1]
RESULTS = sorted((ROOT / "results").glob("*.json"))


def row(record: RunRecord) -> str:
    """A run as a row of the table: NDCG@10 among 100 negatives, and the interval of the difference to DIN."""
    found = {
        entry.model: entry
        for entry in record.comparisons
        if (entry.ranking, entry.metric) == ("sampled-100", "ndcg@10")
    }
    baseline = found["dccl-e"].baseline_mean
    cells = [f"{100 * baseline:.2f}"]
    for model in ("dccl-e", "dccl-m", "dccl-m+e"):
        entry = found[model]
        interval = f"{100 * entry.low:+.2f} to {100 * entry.high:+.2f}"
        cells.append(f"{100 * entry.model_mean:.2f} ({interval}, {entry.verdict})")
    return f"| {len(record.seeds)} | " + " | ".join(cells) + " |"


def test_there_are_results() -> None:
    assert RESULTS


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_every_result_stands_in_the_readme(path: Path) -> None:
    record = msgspec.json.decode(path.read_bytes(), type=RunRecord)
    assert record.protocol.num_negatives == 100
    assert row(record) in (ROOT / "README.md").read_text()


def test_every_row_of_the_readme_has_its_result() -> None:
    rows = [
        line
        for line in (ROOT / "README.md").read_text().splitlines()
        if "no gain)" in line or ", gain)" in line
    ]
    known = [row(msgspec.json.decode(path.read_bytes(), type=RunRecord)) for path in RESULTS]
    assert [line for line in rows if not any(line.endswith(result) for result in known)] == []
