"""The mathematics of learning convolutions from scratch; knows no torch and no file format."""

from theory import bounds

__all__ = ["bounds"]
