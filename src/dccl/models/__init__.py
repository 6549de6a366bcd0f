"""Ranking backbones, one file each, behind one contract (`dccl.models.contract`)."""
