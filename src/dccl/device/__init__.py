"""What runs on a device: numpy and one inference engine, no torch."""

from dccl.device.guard import GuardConfig, serves

__all__ = ["GuardConfig", "serves"]
