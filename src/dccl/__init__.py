"""Device-Cloud Collaborative Learning for recommendation (KDD 2021): MetaPatch and MoMoDistill."""

__version__ = "0.1.0"
