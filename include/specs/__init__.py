"""Typed specs and settings; reads ``config/`` and nothing else."""

from include.specs.errors import FactoryError, Problem, SpecError, TemporarilyUnavailableError, did_you_mean, nearest
from include.specs.loader import ROOT, Catalogue, load_all, load_spec, parse_spec
from include.specs.model import ModelSpec
from include.specs.platform import Platform, load_platform

__all__ = [
    "ROOT",
    "Catalogue",
    "FactoryError",
    "ModelSpec",
    "Platform",
    "Problem",
    "SpecError",
    "TemporarilyUnavailableError",
    "did_you_mean",
    "load_all",
    "load_platform",
    "load_spec",
    "nearest",
    "parse_spec",
]
