"""`dccl run`: from a log to metrics.json and report.html, resumable at every stage."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from dccl.data.cache import load
from dccl.data.log import EventLog, hash_of
from dccl.data.negatives import Negatives, draw_negatives
from dccl.data.split import Split, leave_one_out, refuse_same, train_only
from dccl.data.world import make_world
from dccl.evaluate.groups import activity_groups
from dccl.job.assessment import test_exam, validation_exam
from dccl.job.config import RunConfig
from dccl.job.environment import describe_environment
from dccl.job.record import require_finite, run_record
from dccl.job.simulation import Seed, Stage
from dccl.job.workspace import Workspace, check_folder, opened
from dccl.method.lifecycle import lifecycle
from dccl.models.din import Din
from dccl.report.page import write_report
from dccl.train.loop import Progress, silent
from dccl.train.release import blueprint, save_release
from dccl.wire.errors import ConfigError, DataError
from dccl.wire.files import write_json
from dccl.wire.results import RunRecord

Told = Callable[[str], None]
"""told(sentence): the name of each step as it begins."""


def run(
    config: RunConfig, folder: Path, progress: Progress = silent, told: Told = lambda sentence: None
) -> RunRecord:
    """Do the main job in `folder`, or what is left of it.

    Raises:
        DcclError: a bad log, a folder of another run, a full disk, a diverged training; each says what to do.
    """
    check_junctions(config)
    check_folder(folder, config)
    log = _log(config, told)
    split = leave_one_out(log)
    negatives = _negatives(config, log, split)
    with opened(folder, config, log.checksum) as workspace:
        stage = _stage(config, workspace, log, split, negatives, progress)
        refuse_same(hash_of(stage.validation.candidates), hash_of(stage.test.candidates), "candidates")
        write_json(workspace.environment, describe_environment())
        return _finish(stage, log, negatives, told)


def check_junctions(config: RunConfig) -> None:
    """Refuse junctions that the backbone does not have, before any work.

    Raises:
        ConfigError: it names the junctions that there are.
    """
    backbone = Din(config.din, torch.zeros(2, dtype=torch.int64), 1, (), 1)
    wanted, there = config.basis.junctions, ", ".join(backbone.junctions)
    if not wanted:
        raise ConfigError(f"basis.junctions is empty, so no patch would sit anywhere. There are: {there}")
    for name in wanted:
        if name not in backbone.junctions:
            raise ConfigError(f"basis.junctions: the backbone has no junction {name!r}. There are: {there}")
    if len(set(wanted)) < len(wanted):
        raise ConfigError(f"basis.junctions names one twice: {', '.join(wanted)}. Name each once")


def _finish(stage: Stage, log: EventLog, negatives: Negatives, told: Told) -> RunRecord:
    """All seeds, then the record and the report."""
    config, workspace = stage.config, stage.workspace
    seeds = []
    for number in range(config.first_seed, config.first_seed + config.seeds):
        seed = Seed(stage, number)
        release = lifecycle(seed, seed, config.rounds, seed, _with_seed(told, number))
        save_release(workspace.folder / f"seed-{number}" / "release", release, stage.plan)
        seeds.append(seed)
    told("report")
    record = run_record(stage, log, seeds, release, negatives.checksum)
    require_finite(record)
    write_json(workspace.metrics, record)
    write_report(record, describe_environment(), workspace.report)
    return record


def _with_seed(told: Told, number: int) -> Told:
    return lambda step: told(f"seed {number}: {step}")


def _log(config: RunConfig, told: Told) -> EventLog:
    if config.data is None:
        told("make the world")
        return make_world(config.world).log
    told(f"load {config.data.path}")
    log, report = load(config.data)
    for line in report.lines():
        told(line)
    return log


def _negatives(config: RunConfig, log: EventLog, split: Split) -> Negatives:
    wanted = config.evaluation.num_negatives
    try:
        return draw_negatives(log, split, wanted, config.evaluation.negatives_seed)
    except DataError as error:
        met = (log.items[log.offsets[user] : log.offsets[user + 1]] for user in split.users)
        left = log.num_items - max(len(np.unique(items)) for items in met)
        step = (
            f"with --set evaluation.num_negatives={left} everybody has enough"
            if left
            else "this user met every item, so nothing can be ranked against: give a log with more items"
        )
        raise DataError(f"{error}: {step}") from error


def _stage(
    config: RunConfig,
    workspace: Workspace,
    log: EventLog,
    split: Split,
    negatives: Negatives,
    progress: Progress,
) -> Stage:
    train = train_only(log, split)
    everybody = np.arange(len(split.users))
    rng = np.random.default_rng([config.first_seed, 7])
    few = np.sort(rng.permutation(everybody)[: config.evaluation.validation_users])
    groups = activity_groups(np.diff(train.offsets)[split.users])
    return Stage(
        config=config,
        workspace=workspace,
        train=train,
        plan=blueprint(
            dataclasses.replace(train, checksum=log.checksum),
            config.din,
            config.basis,
            config.distil.encoder_hidden,
            config.history_length,
        ),
        test=test_exam(log, split, negatives, groups),
        validation=validation_exam(log, train, split, negatives, everybody),
        basis_validation=validation_exam(log, train, split, negatives, few),
        progress=progress,
    )
