"""One seed of the main job: the cloud and its devices in one process, every stage resumable."""

import copy
from dataclasses import dataclass, field

import numpy as np

from dccl.data.log import EventLog
from dccl.evaluate.metrics import ndcg
from dccl.fleet.batched import personalise_fleet
from dccl.fleet.population import Population
from dccl.fleet.scoring import Patches, Ranker
from dccl.job.assessment import Assessment, Exam, assess, load_assessment, save_assessment
from dccl.job.config import RunConfig
from dccl.job.stopwatch import Stopwatch
from dccl.job.workspace import Workspace
from dccl.method.metapatch import Basis
from dccl.models.din import Din
from dccl.train.backbone import fit_backbone
from dccl.train.basis import basis_task, calibrate
from dccl.train.batches import BatchSource
from dccl.train.distil import BasisAndEncoder, Teachers, backbone_distil_task, basis_distil_task
from dccl.train.loop import Point, Progress, fit, silent
from dccl.train.release import Blueprint, Release, new_release


@dataclass(frozen=True)
class Stage:
    """What all seeds of a run share."""

    config: RunConfig
    workspace: Workspace
    train: EventLog
    plan: Blueprint
    test: Exam
    validation: Exam
    """For the backbone: every evaluated user."""
    basis_validation: Exam
    """For the basis: a fixed sample, because each of its devices has to be trained for every look."""
    progress: Progress


@dataclass
class Seed:
    """One seed: implements the Cloud, the Devices and the Observer of `method.lifecycle`."""

    stage: Stage
    number: int
    curve: list[Point] = field(default_factory=list)
    assessments: dict[tuple[int, str], Assessment] = field(default_factory=dict)
    populations: dict[int, Population] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = self.stage.config
        self._source = BatchSource(self.stage.train, config.history_length, config.fit.num_negatives)
        self._local = BatchSource(
            self.stage.train,
            config.history_length,
            config.basis.num_negatives,
            config.fit.num_negatives / config.basis.num_negatives,
        )
        self._watch = Stopwatch(self.stage.workspace.folder / f"seed-{self.number}" / "seconds.json")

    @property
    def seconds(self) -> dict[str, float]:
        """Wall-clock seconds by stage."""
        return self._watch.seconds

    # The cloud

    def pretrain(self) -> Release:
        """Algorithm 1, step 0: fit the backbone, then the basis on it."""
        release = new_release(self.stage.plan, np.asarray(self.stage.train.categories), self.number)
        with self._watch.timed("backbone"):
            self.curve = fit_backbone(
                release.backbone,
                self._source,
                self.stage.config.fit,
                lambda: self._cloud_quality(release.backbone),
                self.number,
                self.stage.workspace.stopover(self.number, "backbone"),
                self._progress,
            )
        release.backbone.eval().requires_grad_(False)
        self._assess(0, "din", release.backbone, None)
        with self._watch.timed("basis"):
            self._fit_basis(release)
        return release

    def distil(self, release: Release, uploads: Population, number: int) -> Release:
        """MoMoDistill: phase 1 on a copy of the backbone, then phase 2 on a copy of the basis."""
        teachers = Teachers(release.backbone, release.basis, uploads.served())
        backbone = copy.deepcopy(release.backbone).requires_grad_(True)
        learning = BasisAndEncoder(copy.deepcopy(release.basis), copy.deepcopy(release.encoder))
        with self._watch.timed(f"distil backbone, round {number}"):
            self._distil_backbone(backbone, teachers, number)
        with self._watch.timed(f"distil basis, round {number}"):
            self._distil_basis(backbone, learning, teachers, number)
        return Release(number, backbone, learning.basis, learning.encoder)

    # The devices

    def train(self, release: Release, number: int) -> Population:
        """Let every device train on its own events under `release`."""
        path = self.stage.workspace.stage(self.number, f"surrogates-{number}")
        with self._watch.timed(f"devices, round {number}"):
            if path.exists():
                arrays, _ = self.stage.workspace.load(path)
                population = Population(
                    arrays["surrogates"].astype(np.float32), arrays["serving"].astype(np.bool_)
                )
            else:
                population = self._personalise(release.backbone, release.basis, None, self._progress)
                self.stage.workspace.save(
                    path, {"surrogates": population.surrogates, "serving": population.serving}
                )
        self.populations[number] = population
        return population

    # The observer

    def personalised(self, number: int, release: Release, uploads: Population) -> None:
        """Assess DCCL-e of this round."""
        self._assess(number, "dccl-e", release.backbone, Patches(release.basis, uploads.served()))

    def distilled(self, number: int, release: Release) -> None:
        """Assess DCCL-m of this round: the new cloud model alone, and under its devices' new patches."""
        self._assess(number, "dccl-m", release.backbone, None)
        uploads = self.train(release, number + 1)
        self._assess(number, "dccl-m+e", release.backbone, Patches(release.basis, uploads.served()))

    # Steps

    def _fit_basis(self, release: Release) -> None:
        calibrate(release.backbone, release.basis, self._local, self.stage.config.basis, self.number)
        task = basis_task(
            release.backbone,
            release.basis,
            self._local,
            self.stage.config.basis,
            lambda: self._device_quality(release.backbone, release.basis),
        )
        stopover = self.stage.workspace.stopover(self.number, "basis")
        fit(task, self.stage.config.basis.loop, self.number, stopover, self._progress)
        release.basis.requires_grad_(False)

    def _distil_backbone(self, backbone: Din, teachers: Teachers, number: int) -> None:
        config = self.stage.config
        task = backbone_distil_task(
            backbone,
            teachers,
            self._source,
            config.distil,
            config.fit.scored_events,
            config.fit.batch_size,
            lambda: self._cloud_quality(backbone),
        )
        stopover = self.stage.workspace.stopover(self.number, f"distil-backbone-{number}")
        fit(task, config.distil.backbone, self._round_seed(number), stopover, self._progress)
        backbone.eval().requires_grad_(False)

    def _distil_basis(
        self, backbone: Din, learning: BasisAndEncoder, teachers: Teachers, number: int
    ) -> None:
        config = self.stage.config
        learning.requires_grad_(True)
        task = basis_distil_task(
            backbone,
            learning,
            teachers,
            self._local,
            config.distil,
            config.basis,
            lambda: self._device_quality(backbone, learning.basis),
        )
        stopover = self.stage.workspace.stopover(self.number, f"distil-basis-{number}")
        fit(task, config.distil.basis, self._round_seed(number), stopover, self._progress)
        learning.requires_grad_(False)

    def _round_seed(self, number: int) -> int:
        return self.number + 1_000 * number

    def _personalise(
        self, backbone: Din, basis: Basis, users: np.ndarray | None, progress: Progress
    ) -> Population:
        return personalise_fleet(
            backbone,
            basis,
            self._local,
            self.stage.config.basis,
            self.stage.config.guard,
            self.number,
            users,
            progress,
        )

    # Looking

    def _cloud_quality(self, backbone: Din) -> float:
        return _sampled_ndcg(
            Ranker(backbone, self.stage.validation.history, self._length), self.stage.validation
        )

    def _device_quality(self, backbone: Din, basis: Basis) -> float:
        exam = self.stage.basis_validation
        population = self._personalise(backbone, basis, exam.users, silent)
        patches = Patches(basis, population.served())
        return _sampled_ndcg(Ranker(backbone, exam.history, self._length, patches), exam)

    def _assess(self, number: int, model: str, backbone: Din, patches: Patches | None) -> None:
        path = self.stage.workspace.stage(self.number, f"assessment-{number}-{model}")
        with self._watch.timed("evaluation"):
            if path.exists():
                found = load_assessment(self.stage.workspace, path)
            else:
                ranker = Ranker(backbone, self.stage.test.history, self._length, patches)
                found = assess(ranker, self.stage.test, self.stage.config.evaluation.full)
                save_assessment(self.stage.workspace, path, found)
        self.assessments[number, model] = found

    @property
    def _length(self) -> int:
        return self.stage.config.history_length

    def _progress(self, what: str, done: int, total: int, remark: str) -> None:
        self._watch.tick()
        self.stage.progress(what, done, total, remark)


def _sampled_ndcg(ranker: Ranker, exam: Exam) -> float:
    found = assess(ranker, exam, full=False)
    (places,) = found.places.values()
    return float(ndcg(places, 10).mean())
