"""Taking a directory writes into no file that lies elsewhere, and waits for nothing that may never come."""

import ctypes
import os
import subprocess
import sys

import pytest

from vitcli.ablation.run_directory import directory_lock
from vitcli.config.errors import ConfigError


@pytest.mark.parametrize("name", [".lock", ".alive"])
def test_a_lock_that_is_a_link_keeps_its_target(name, tmp_path):
    target = tmp_path / "precious.txt"
    target.write_text("years of work")
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / name).symlink_to(target)
    with pytest.raises(ConfigError, match=rf"runs/{name}: this is a link or no file; remove it"), directory_lock(runs):
        pass
    assert target.read_text() == "years of work"


def test_a_lock_that_is_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(ConfigError, match="this is a link or no file"), directory_lock(tmp_path):
        pass


def test_a_lock_that_is_a_folder_is_refused(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(ConfigError, match="cannot be written"), directory_lock(tmp_path):
        pass


def obey_modes() -> None:
    """Make the superuser obey the modes of files, as all others do."""
    drop_from_bounding_set, override_modes = 24, 1
    ctypes.CDLL(None).prctl(drop_from_bounding_set, override_modes, 0, 0, 0)


def test_a_directory_that_cannot_be_written_is_named_in_a_sentence(tmp_path):
    (tmp_path / "runs").mkdir(mode=0o555)
    code = (
        "from pathlib import Path; from vitcli.ablation.run_directory import directory_lock\n"
        "with directory_lock(Path('runs')): pass"
    )
    taking = [sys.executable, "-c", code]
    errors = subprocess.run(taking, cwd=tmp_path, preexec_fn=obey_modes, capture_output=True, text=True).stderr
    output = (
        "vitcli.config.errors.ConfigError: runs: the directory cannot be written (Permission denied); use --runs DIR."
    )
    assert errors.splitlines()[-1] == output
    assert not list((tmp_path / "runs").iterdir())


def test_a_directory_that_is_a_link_is_used(tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "scratch")
    with directory_lock(tmp_path / "runs"):
        assert (tmp_path / "scratch" / ".lock").exists()


def test_a_directory_that_is_a_link_to_nothing_is_refused(tmp_path):
    (tmp_path / "runs").symlink_to(tmp_path / "scratch")
    with pytest.raises(ConfigError, match="cannot be created"), directory_lock(tmp_path / "runs"):
        pass
