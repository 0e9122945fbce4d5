"""What all tests of tasks share: Lightning warns a lot about small runs."""

import warnings

import pytest


@pytest.fixture(autouse=True)
def _lightning_is_talkative():
    with warnings.catch_warnings():
        # Facts about the machine and the tiny runs of these tests, not about the code under test.
        warnings.filterwarnings("ignore", message=r"The '\w+_dataloader' does not have many workers")
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.* is deprecated")
        warnings.filterwarnings("ignore", message="GPU available but not used")
        warnings.filterwarnings("ignore", message="The dirpath has changed from")
        yield
