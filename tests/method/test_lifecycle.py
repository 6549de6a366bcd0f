"""Algorithm 1: who is called, with what, and when."""

from dataclasses import dataclass, field

import pytest

from dccl.method.lifecycle import lifecycle


@dataclass
class Everybody:
    """Cloud, devices and observer in one, who write down what they are asked."""

    diary: list[str] = field(default_factory=list)

    def pretrain(self) -> str:
        self.diary.append("pretrain")
        return "r0"

    def distil(self, release: str, uploads: str, number: int) -> str:
        self.diary.append(f"distil {release} {uploads} {number}")
        return f"r{number}"

    def train(self, release: str, number: int) -> str:
        self.diary.append(f"train {release} {number}")
        return f"u{number}"

    def personalised(self, number: int, release: str, uploads: str) -> None:
        self.diary.append(f"personalised {number} {release} {uploads}")

    def distilled(self, number: int, release: str) -> None:
        self.diary.append(f"distilled {number} {release}")


def test_algorithm_1_pretrains_then_trains_devices_distils_and_publishes_round_after_round() -> None:
    all_of_them = Everybody()
    last = lifecycle(all_of_them, all_of_them, 2, all_of_them)
    assert last == "r2"
    assert all_of_them.diary == [
        "pretrain",
        "train r0 1",
        "personalised 1 r0 u1",
        "distil r0 u1 1",
        "distilled 1 r1",
        "train r1 2",
        "personalised 2 r1 u2",
        "distil r1 u2 2",
        "distilled 2 r2",
    ]


def test_no_round_is_pretraining_alone() -> None:
    all_of_them = Everybody()
    assert lifecycle(all_of_them, all_of_them, 0, all_of_them) == "r0"
    assert all_of_them.diary == ["pretrain"]


def test_each_step_is_told_before_it_begins() -> None:
    all_of_them = Everybody()
    lifecycle(all_of_them, all_of_them, 1, all_of_them, lambda stage: all_of_them.diary.append(f"> {stage}"))
    assert [entry for entry in all_of_them.diary if not entry.startswith(("personalised", "distilled"))] == [
        "> pretrain",
        "pretrain",
        "> round 1: devices",
        "train r0 1",
        "> round 1: distil",
        "distil r0 u1 1",
    ]


def test_a_failure_of_the_devices_stops_the_round_before_the_cloud_distils() -> None:
    class Broken(Everybody):
        def train(self, release: str, number: int) -> str:
            raise RuntimeError("no device answered")

    all_of_them = Broken()
    with pytest.raises(RuntimeError, match="no device answered"):
        lifecycle(all_of_them, all_of_them, 1, all_of_them)
    assert all_of_them.diary == ["pretrain"]
