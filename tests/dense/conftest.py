"""What the tests of dense tasks share."""

import pytest

from tests.tasks.conftest import _lightning_is_talkative  # noqa: F401


@pytest.fixture(autouse=True)
def _own_caches(tmp_path_factory, monkeypatch):
    """What is remembered about data lies in a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("caches")))
