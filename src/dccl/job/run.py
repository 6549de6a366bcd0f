"""`dccl run`: from a log to metrics.json and report.html, resumable at every stage."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dccl.data.cache import load
from dccl.data.log import EventLog
from dccl.data.negatives import Negatives, draw_negatives
from dccl.data.split import Split, leave_one_out, train_only
from dccl.data.world import make_world
from dccl.evaluate.groups import activity_groups
from dccl.job.assessment import test_exam, validation_exam
from dccl.job.config import RunConfig
from dccl.job.environment import describe_environment
from dccl.job.record import run_record
from dccl.job.simulation import Seed, Stage
from dccl.job.workspace import Workspace, open_workspace
from dccl.method.lifecycle import lifecycle
from dccl.report.page import write_report
from dccl.train.loop import Progress, silent
from dccl.train.release import blueprint, save_release
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
    log = _log(config, told)
    split = leave_one_out(log)
    negatives = draw_negatives(log, split, config.evaluation.num_negatives, config.evaluation.negatives_seed)
    workspace = open_workspace(folder, config, log.checksum)
    stage = _stage(config, workspace, log, split, negatives, progress)
    write_json(workspace.folder / "environment.json", describe_environment())
    seeds = []
    for number in range(config.first_seed, config.first_seed + config.seeds):
        seed = Seed(stage, number)
        release = lifecycle(seed, seed, config.rounds, seed, _with_seed(told, number))
        save_release(workspace.folder / f"seed-{number}" / "release", release, stage.plan)
        seeds.append(seed)
    told("report")
    record = run_record(stage, log, seeds, release, negatives.checksum)
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
