"""How good one model is for everybody: sampled and full ranking, per user and in the mean."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from dccl.data.log import EventLog
from dccl.data.negatives import Negatives
from dccl.data.split import Split
from dccl.evaluate.metrics import pooled_auc, summarise
from dccl.evaluate.ranking import Places, places
from dccl.fleet.scoring import Ranker
from dccl.job.workspace import Workspace
from dccl.wire.results import Metrics

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Exam:
    """The fixed questions that every model answers: n users, their held-out items and negatives."""

    users: npt.NDArray[np.int64]
    candidates: npt.NDArray[np.int64]
    """(n, 1 + N): the held-out item first."""
    history: EventLog
    """What a model may see: everything before the held-out event. Items in it take no part in the full ranking."""
    group_of: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Assessment:
    """One model's answers."""

    metrics: dict[str, Metrics]
    """By ranking."""
    places: dict[str, Places]
    """By ranking, row by row of the exam's users."""


def test_exam(log: EventLog, split: Split, negatives: Negatives, group_of: npt.NDArray[np.int64]) -> Exam:
    """The exam of record: the last event of each user; the validation event is history by then."""
    history = without_last_event(log, split)
    candidates = np.concatenate([split.test[:, None], negatives.test], axis=1).astype(np.int64)
    return Exam(split.users, candidates, history, group_of)


def validation_exam(
    log: EventLog, train: EventLog, split: Split, negatives: Negatives, rows: npt.NDArray[np.int64]
) -> Exam:
    """The exam that decides (epochs, early stopping): the last event but one, for the users in `rows`."""
    candidates = np.concatenate([split.validation[:, None], negatives.validation], axis=1)[rows]
    users = split.users[rows]
    return Exam(users, candidates.astype(np.int64), train, np.zeros(len(rows), np.int64))


def without_last_event(log: EventLog, split: Split) -> EventLog:
    """The log as it was before the test event of each evaluated user."""
    kept = np.ones(log.num_events, dtype=np.bool_)
    kept[log.offsets[1:][split.users] - 1] = False
    gone = np.zeros(log.num_users, dtype=np.int64)
    gone[split.users] = 1
    offsets = log.offsets - np.concatenate([[0], np.cumsum(gone)])
    return dataclasses.replace(log, items=log.items[kept], times=log.times[kept], offsets=offsets)


def assess(ranker: Ranker, exam: Exam, full: bool) -> Assessment:
    """Let a model answer the exam.

    Raises:
        ScoreError: a score is not finite.
    """
    scores = ranker.scores(exam.users, exam.candidates)
    sampled = places(scores[:, 0], scores[:, 1:])
    name = f"sampled-{exam.candidates.shape[1] - 1}"
    metrics = {name: summarise(sampled, pooled_auc(scores[:, 0], _chunks(scores[:, 1:])), exam.group_of)}
    found = {name: sampled}
    if full:
        found["full"], pooled = _full(ranker, exam)
        metrics["full"] = summarise(found["full"], pooled, exam.group_of)
    return Assessment(metrics, found)


def _chunks(scores: Floats) -> Iterator[Floats]:
    for start in range(0, len(scores), 4096):
        yield scores[start : start + 4096]


def _full(ranker: Ranker, exam: Exam) -> tuple[Places, float]:
    positives = np.empty(len(exam.users), np.float32)
    parts, others = [], []
    for rows, scores in ranker.full_scores(exam.users):
        items = exam.candidates[rows, 0]
        positives[rows] = scores[np.arange(len(rows)), items - 1]
        excluded = _met(exam.history, exam.users[rows])
        excluded[np.arange(len(rows)), items - 1] = True
        parts.append(places(positives[rows], scores, excluded))
        others.append(scores[~excluded])
    return Places.joined(parts), pooled_auc(positives, others)


def _met(history: EventLog, users: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(n, I): whether each user met each item; column 0 is item code 1."""
    counts = np.diff(history.offsets)[users]
    owner = np.repeat(np.arange(len(users)), counts)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    met = np.zeros((len(users), history.num_items), np.bool_)
    met[owner, history.items[history.offsets[users][owner] + within] - 1] = True
    return met


def save_assessment(workspace: Workspace, path: Path, assessment: Assessment) -> None:
    """Keep the answers, so that comparing needs no model."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for name, found in assessment.places.items():
        arrays |= {f"{name}/better": found.better, f"{name}/ties": found.ties, f"{name}/total": found.total}
    workspace.save(path, arrays, {"metrics": msgspec.json.encode(assessment.metrics).decode()})


def load_assessment(workspace: Workspace, path: Path) -> Assessment:
    """Undo `save_assessment`.

    Raises:
        CheckpointError: the file is damaged, or another run made it.
    """
    arrays, metadata = workspace.load(path)
    metrics = msgspec.json.decode(metadata["metrics"], type=dict[str, Metrics])
    found = {
        name: Places(*(arrays[f"{name}/{part}"].astype(np.int64) for part in ("better", "ties", "total")))
        for name in metrics
    }
    return Assessment(metrics, found)
