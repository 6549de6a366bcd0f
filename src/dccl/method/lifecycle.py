"""Algorithm 1 on one screen, over two Protocols: what the cloud can do, and what the devices can do."""

from collections.abc import Callable
from typing import Protocol, TypeVar

Release = TypeVar("Release")
Uploads = TypeVar("Uploads")
ReleaseIn = TypeVar("ReleaseIn", contravariant=True)
UploadsIn = TypeVar("UploadsIn", contravariant=True)
UploadsOut = TypeVar("UploadsOut", covariant=True)


class Cloud(Protocol[Release, UploadsIn]):
    """The cloud side."""

    def pretrain(self) -> Release:
        """Step 0: a backbone, a basis and an encoder from the cloud's own log."""
        ...

    def distil(self, release: Release, uploads: UploadsIn, number: int) -> Release:
        """MoMoDistill, Eq. (5) and then Eq. (7): the next release from what the devices uploaded."""
        ...


class Devices(Protocol[ReleaseIn, UploadsOut]):
    """All devices together."""

    def train(self, release: ReleaseIn, number: int) -> UploadsOut:
        """MetaPatch, Eq. (3), on every device: its surrogate, trained on its own events under this release."""
        ...


class Observer(Protocol[ReleaseIn, UploadsIn]):
    """Whoever wants to look at each model on the way."""

    def personalised(self, number: int, release: ReleaseIn, uploads: UploadsIn) -> None:
        """After the devices of a round have trained: the models of DCCL-e."""
        ...

    def distilled(self, number: int, release: ReleaseIn) -> None:
        """After MoMoDistill of a round: the model of DCCL-m."""
        ...


def lifecycle(
    cloud: Cloud[Release, Uploads],
    devices: Devices[Release, Uploads],
    rounds: int,
    observer: Observer[Release, Uploads],
    told: Callable[[str], None] = lambda stage: None,
) -> Release:
    """Algorithm 1: pretrain, then round after round devices train, the cloud distils, and publishes.

    Args:
        cloud: the cloud side.
        devices: the device side.
        rounds: how many.
        observer: shown every model.
        told: the name of each step as it begins.

    Returns:
        the last release.
    """
    told("pretrain")
    release = cloud.pretrain()
    for number in range(1, rounds + 1):
        told(f"round {number}: devices")
        uploads = devices.train(release, number)
        observer.personalised(number, release, uploads)
        told(f"round {number}: distil")
        release = cloud.distil(release, uploads, number)
        observer.distilled(number, release)
    return release
