"""Every registered model; the larger ones, and those that differ from another one in a leaf only, are left to the slow tests."""

import pytest

import vitmodels

SMALLEST = ("deit_tiny", "localvit_tiny")

every_model = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in SMALLEST else pytest.mark.slow) for name in vitmodels.MODELS]
)
