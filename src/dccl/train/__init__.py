"""Fitting in the cloud: backbones, bases and the two phases of MoMoDistill, a whole sequence per forward pass."""
