"""Trials as tasks of Ray on this machine: workers that die, trials that span processes, and nothing left behind."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.launching import ends, idle_plan, job_of, longer, tiny_plan, trial_process, until
from tests.cli.tiny_ablation import ABLATION, LIGHTNING, PLAIN, write
from vitcli.ablation.launch.ray.launcher import RayLauncher
from vitcli.ablation.launch.remote import epochs_done
from vitcli.ablation.planning.section import read_spec
from vitcli.config.errors import ConfigError
from vitcli.records.json_files import read_json

pytestmark = LIGHTNING

ray_itself = pytest.mark.slow  # Ray needs ten seconds to start, and a trial's process as many


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return tiny_plan(tmp_path_factory.mktemp("plan"))


@pytest.fixture
def here(plan, tmp_path):
    return dataclasses.replace(plan, directory=tmp_path / "runs" / "arms")


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    """Two trials at a time."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    one = RayLauncher(idle_plan(tmp_path), max_retries=1)
    yield one
    one.stop()


def parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


@ray_itself
def test_a_trial_whose_worker_is_killed_is_retried_and_the_ablation_ends_complete(here, launcher, capfd):
    jobs = {("plain", 0): longer(job_of(here, "plain", 0), 60), ("gelu", 0): job_of(here, "gelu", 0)}
    for job in jobs.values():
        launcher.start(job)
    place = here.trial_directory("plain", 0)
    until(lambda: epochs_done(place) >= 2)
    training = trial_process(place)
    os.kill(parent(training), signal.SIGKILL)
    causes, epochs = ends(launcher, 2)
    assert set(epochs) == set(jobs)
    assert causes == dict.fromkeys(jobs, "the process ended with exit code 0; see log.txt")
    result, other = (read_json(here.trial_directory(*key) / "result.json") for key in jobs)
    assert (result["status"], result["epochs"]) == ("done", 60)
    (before,) = result["resumed"]
    assert 1 <= before < 60  # an epoch is reported before its checkpoint is written
    assert (other["status"], other["resumed"]) == ("done", [])
    assert not Path(f"/proc/{training}").exists()
    assert capfd.readouterr() == ("", "")


@ray_itself
def test_a_trial_that_is_killed_again_and_again_has_failed_with_its_cause(here, launcher):
    launcher.start(longer(job_of(here, "plain", 0), 100_000))
    place = here.trial_directory("plain", 0)
    for _ in range(2):
        (place / "epoch.json").unlink(missing_ok=True)
        until(lambda: epochs_done(place))
        os.kill(trial_process(place), signal.SIGKILL)
    causes, _ = ends(launcher, 1)
    assert causes == {("plain", 0): "interrupted: the process was ended by signal 9 (Killed); see log.txt"}
    assert not (place / "result.json").exists()


@ray_itself
@pytest.mark.exhaustive
def test_trials_that_no_worker_has_begun_with_are_taken_back(here, launcher):
    jobs = {("plain", seed): longer(job_of(here, "plain", seed), 100_000) for seed in range(4)}
    for job in jobs.values():
        launcher.start(job)
    until(lambda: sum(epochs_done(here.trial_directory(*key)) > 0 for key in jobs) == 2)
    begun = {key for key in jobs if epochs_done(here.trial_directory(*key))}
    assert launcher.withdraw(list(jobs)) == set(jobs) - begun
    place = here.trial_directory(*min(begun))
    (place / "epoch.json").unlink()
    os.kill(trial_process(place), signal.SIGKILL)
    until(lambda: epochs_done(place))  # tried again: whoever else waited for a place would have had this one
    assert not any((here.trial_directory(*key) / "trial.json").exists() for key in set(jobs) - begun)


@ray_itself
def test_stop_ends_what_trains_and_ray_itself(here, launcher):
    launcher.start(longer(job_of(here, "plain", 0), 100_000))
    place = here.trial_directory("plain", 0)
    until(lambda: epochs_done(place))
    training = trial_process(place)
    worker = parent(training)
    servers = listening()
    assert servers
    assert {address for address, _ in servers} == {"127.0.0.1"}
    launcher.stop()
    until(lambda: not any(Path(f"/proc/{process}").exists() for process in (training, worker)), 20)
    until(lambda: not listening(), 20)


def listening() -> set[tuple[str, str]]:
    """Return address and port of every server of Ray."""
    lines = subprocess.run(["ss", "-tlnpH"], capture_output=True, text=True, check=True).stdout.splitlines()
    places = [line.split()[3] for line in lines if "raylet" in line or "gcs_server" in line or "ray::" in line]
    return {
        (place.rpartition(":")[0].strip("[]").removeprefix("::ffff:"), place.rpartition(":")[2]) for place in places
    }


@ray_itself
@pytest.mark.parametrize("nodes", [1, 2])
def test_a_trial_of_two_ranks_is_one_training_on_one_machine_or_two(here, launcher, nodes):
    job = longer(
        job_of(here, "plain", 0), 1, devices=2 // nodes, num_nodes=nodes, strategy="ddp", limit_train_batches=2
    )
    launcher.start(job)
    causes, _ = ends(launcher, 1)
    result = read_json(here.trial_directory("plain", 0) / "result.json")
    assert result is not None, causes
    assert result["status"] == "done", result
    assert result["train_images"] == 2 * 2 * 64


@ray_itself
def test_ray_and_its_trials_end_with_a_runner_that_is_killed(here, tmp_path):
    write(tmp_path / "arms.yaml", PLAIN, ablation=ABLATION)
    words = [
        sys.executable,
        "-m",
        "tests.cli.launching",
        "vitcli.RayLauncher",
        str(tmp_path / "arms.yaml"),
        str(here.directory),
    ]
    runner = subprocess.Popen(words)
    place = here.trial_directory("plain", 0)
    try:
        until(lambda: epochs_done(place))
        training = trial_process(place)
        worker = parent(training)
    finally:
        runner.kill()
        runner.wait()
    until(lambda: not any(Path(f"/proc/{process}").exists() for process in (training, worker)), 20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"adress": "auto"},
            "ablation.launcher.adress has no entry 'adress' in ablation.launcher; did you mean address?",
        ),
        ({"num_gpus": "half"}, "ablation.launcher.num_gpus is 'half'; expected int or float or null."),
        ({"max_retries": 1.5}, "ablation.launcher.max_retries is 1.5; expected int."),
    ],
)
def test_a_wrong_option_is_a_sentence(options, message):
    with pytest.raises(ConfigError) as error:
        read_spec([("arms.yaml", {"baseline": "a", "arms": {"a": {}}, "launcher": {"name": "ray", **options}})], "")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("not an address", "ablation.launcher.address is 'not an address', but Ray does not answer: "),
        ("127.0.0.1:9", "ablation.launcher.address is '127.0.0.1:9', but nothing listens there ("),
    ],
)
def test_a_cluster_that_does_not_answer_is_a_sentence(tmp_path, address, message):
    code = """
import sys
from pathlib import Path
from tests.cli.launching import idle_job, idle_plan
from vitcli.ablation.launch.ray.launcher import RayLauncher
try:
    RayLauncher(idle_plan(Path(sys.argv[1])), address=sys.argv[2]).start(idle_job(Path(sys.argv[1])))
except ValueError as error:
    print(error)
"""
    words = [sys.executable, "-c", code, str(tmp_path), address]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert out.startswith(message)


BLOCKED = """
import sys
sys.modules["{package}"] = None
from pathlib import Path
from tests.cli.launching import idle_plan
from vitcli import RayLauncher, SlurmLauncher, SubmititLocalLauncher
try:
    {call}
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("package", "call", "message"),
    [
        (
            "ray",
            "RayLauncher(idle_plan(Path('x')))",
            "ablation.launcher is ray, which needs the package ray; install it by ",
        ),
        (
            "submitit",
            "SlurmLauncher(idle_plan(Path('x')))",
            "ablation.launcher is slurm, which needs the package ",
        ),
        (
            "submitit",
            "SubmititLocalLauncher(idle_plan(Path('x')))",
            "ablation.launcher is submitit_local, which needs ",
        ),
    ],
)
def test_a_missing_package_is_a_sentence_that_names_the_extra(package, call, message):
    code = BLOCKED.format(package=package, call=call)
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    extra = {"ray": "ray", "submitit": "slurm"}[package]
    assert out.startswith(message)
    assert out.strip().endswith(f"pip install 'vitcli[{extra}]'.")


def test_the_runner_imports_neither_torch_nor_a_launcher_that_was_not_chosen():
    code = "import sys, vitcli.ablation.run; print(*sorted({*sys.modules} & {*sys.argv}))"
    names = ["torch", "lightning", "ray", "submitit"]
    out = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True).stdout
    assert out.strip() == ""
