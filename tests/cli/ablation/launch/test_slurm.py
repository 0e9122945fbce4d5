"""Trials as jobs: what is submitted, adopted, cancelled and recorded, on a cluster of one machine behind Slurm's commands."""

import dataclasses
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli import fake_slurm
from tests.cli.launching import ends, idle_job, idle_plan, job_of, longer, tiny_plan, trial_process, until
from tests.cli.tiny_ablation import LIGHTNING
from vitcli.ablation.launch.remote import epochs_done
from vitcli.ablation.launch.slurm.launcher import SlurmLauncher
from vitcli.ablation.launch.slurm.local import SubmititLocalLauncher
from vitcli.ablation.planning.section import read_spec
from vitcli.config.errors import ConfigError
from vitcli.records.json_files import read_json

pytestmark = LIGHTNING

FAST = {"poll_seconds": 0.1}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A cluster whose cores are all taken: jobs wait."""
    place = tmp_path / "cluster"
    for name, value in fake_slurm.install(place, cores=0).items():
        monkeypatch.setenv(name, value)
    yield place
    SlurmLauncher(idle_plan(tmp_path / "none")).queue.cancel(fake_slurm.jobs(place))


def launcher(folder, **options) -> SlurmLauncher:
    return SlurmLauncher(idle_plan(folder / "runs" / "arms"), **FAST | options)


def handed_over(folder, cluster, *jobs, **options) -> tuple[SlurmLauncher, list[str]]:
    """Start jobs; return the launcher and the batch scripts."""
    one = launcher(folder, **options)
    for job in jobs:
        one.start(job)
    one.wait(0)
    return one, [path.read_text() for path in sorted((folder / "runs" / "arms" / ".slurm").glob("*/*_submission.sh"))]


def lines(script: str) -> dict[str, str]:
    return {name: value.strip("'") for name, value in re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", script, re.MULTILINE)}


def test_trials_started_together_are_one_array_of_the_requested_kind(tmp_path, cluster):
    jobs = [idle_job(tmp_path, seed=seed, devices=2) for seed in range(3)]
    options = {"partition": "long", "timeout_min": 90, "gpus_per_node": 1, "array_parallelism": 2, "mem_gb": 4}
    _, scripts = handed_over(tmp_path, cluster, *jobs, **options)
    assert len(scripts) == 1
    header = lines(scripts[0])
    assert (header["array"], header["partition"], header["time"]) == (
        "0-2%2",
        "long",
        "90",
    )
    assert (header["gpus-per-node"], header["mem"], header["cpus-per-task"]) == (
        "1",
        "4GB",
        "2",
    )
    assert (header["nodes"], header["ntasks-per-node"], header["job-name"]) == (
        "1",
        "1",
        "arms",
    )
    assert header["requeue"] == ""
    assert header["signal"] == "USR2@90"
    assert sorted(fake_slurm.jobs(cluster)) == ["100_0", "100_1", "100_2"]
    assert fake_slurm.calls(cluster).count("sbatch") == 1


def test_a_trial_on_gpus_asks_for_them_and_one_on_two_machines_for_two(tmp_path, cluster):
    jobs = [
        idle_job(tmp_path, "one", accelerator="gpu"),
        idle_job(tmp_path, "two", accelerator="gpu", devices=4, num_nodes=2),
    ]
    _, scripts = handed_over(tmp_path, cluster, *jobs)
    one, two = (lines(script) for script in scripts)
    assert (one["gpus-per-node"], one["nodes"], one["cpus-per-task"]) == ("1", "1", "1")
    assert (two["gpus-per-node"], two["nodes"], two["ntasks-per-node"], two["cpus-per-task"]) == ("4", "2", "1", "4")
    assert "array" not in one


def test_a_second_runner_adopts_the_jobs_that_wait_and_submits_the_others(tmp_path, cluster):
    handed_over(tmp_path, cluster, *(idle_job(tmp_path, seed=seed) for seed in range(2)))
    second = launcher(tmp_path)
    assert second.adopt(idle_job(tmp_path, seed=0))
    for seed in (1, 2):
        second.start(idle_job(tmp_path, seed=seed))
    second.wait(0)
    assert sorted(fake_slurm.jobs(cluster)) == ["100_0", "100_1", "101"]
    assert [one.id for one in second.running.values()] == ["100_0", "100_1", "101"]


def test_a_job_of_another_configuration_is_cancelled_before_the_trial_is_submitted(tmp_path, cluster):
    handed_over(tmp_path, cluster, idle_job(tmp_path, identity="old"))
    second = launcher(tmp_path)
    second.start(idle_job(tmp_path, identity="new"))
    second.wait(0)
    states = {job: known["state"] for job, known in fake_slurm.jobs(cluster).items()}
    assert states == {"100": "CANCELLED by 0", "101": "PENDING"}


def test_stop_cancels_every_job_by_one_call(tmp_path, cluster):
    one, _ = handed_over(tmp_path, cluster, *(idle_job(tmp_path, seed=seed) for seed in range(3)))
    one.stop()
    assert {known["state"] for known in fake_slurm.jobs(cluster).values()} == {"CANCELLED by 0"}
    assert fake_slurm.calls(cluster).count("scancel") == 1


def test_trials_that_no_machine_has_begun_with_are_taken_back_submitted_or_not(tmp_path, cluster):
    one, _ = handed_over(tmp_path, cluster, *(idle_job(tmp_path, seed=seed) for seed in range(3)))
    fake_slurm.note(cluster, "100_1", state="RUNNING")
    one.start(idle_job(tmp_path, seed=3))
    assert one.withdraw([("plain", seed) for seed in (1, 2, 3)]) == {("plain", 2), ("plain", 3)}
    assert one.wait(0) == []
    assert set(one.running) == {("plain", 0), ("plain", 1)}
    states = {job: known["state"] for job, known in fake_slurm.jobs(cluster).items()}
    assert states == {"100_0": "PENDING", "100_1": "RUNNING", "100_2": "CANCELLED by 0"}


def test_a_trial_that_ended_before_it_could_be_taken_back_is_reported_as_ended(tmp_path, cluster):
    one, _ = handed_over(tmp_path, cluster, idle_job(tmp_path))
    (tmp_path / "plain" / "seed0").mkdir(parents=True)
    (tmp_path / "plain" / "seed0" / "job.json").write_text("{}")
    fake_slurm.note(cluster, "100", state="OUT_OF_MEMORY")
    assert one.withdraw([("plain", 0)]) == set()
    happened = []
    until(lambda: happened.extend(one.wait(0.1)) or happened, 20)
    assert [key for key, _ in happened] == [("plain", 0)]


def test_a_job_that_left_the_queue_without_a_word_ends_its_trial_with_slurms_reason(tmp_path, cluster):
    one, _ = handed_over(tmp_path, cluster, idle_job(tmp_path))
    fake_slurm.note(cluster, "100", state="OUT_OF_MEMORY")
    happened = []
    until(lambda: happened.extend(one.wait(0.1)) or happened, 20)
    ((key, ended),) = happened
    assert key == ("plain", 0)
    assert ended.cause == "interrupted: the Slurm job 100 is gone from the queue (OUT_OF_MEMORY); see log.txt"


def test_the_scheduler_is_asked_seldom_however_often_the_runner_waits(tmp_path, cluster):
    one, _ = handed_over(tmp_path, cluster, *(idle_job(tmp_path, seed=seed) for seed in range(3)), poll_seconds=3600)
    until(lambda: fake_slurm.calls(cluster).count("run") == 3)  # the cluster's own processes have begun
    before = fake_slurm.calls(cluster)
    for _ in range(5):
        one.wait(0.6)
    assert fake_slurm.calls(cluster) == before
    assert before.count("squeue") <= 1


def test_jobs_count_as_living_while_the_scheduler_does_not_answer(tmp_path, cluster):
    one, _ = handed_over(tmp_path, cluster, idle_job(tmp_path))
    (cluster / "bin" / "squeue").write_text("#!/bin/sh\nexit 1\n")
    until_then = time.monotonic() + 2
    while time.monotonic() < until_then:
        assert one.wait(0.1) == []
    with pytest.raises(
        ConfigError, match="squeue fails, so it is not known whether earlier jobs of this ablation still run"
    ):
        launcher(tmp_path)


def test_what_sbatch_refuses_is_a_sentence_with_its_reason(tmp_path, cluster):
    with pytest.raises(ConfigError, match=r"sbatch refuses the jobs: .*invalid partition specified: nowhere; see the"):
        handed_over(tmp_path, cluster, idle_job(tmp_path), partition="nowhere")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"partitoin": "gpu"},
            "ablation.launcher.partitoin has no entry 'partitoin' in ablation.launcher; did you mean",
        ),
        ({"slurm_qoss": "high"}, "has no entry 'qoss' in ablation.launcher; did you mean qos?"),
        ({"timeout_min": "an hour"}, "ablation.launcher.timeout_min is 'an hour'; expected int."),
        ({"gpus_per_node": True}, "ablation.launcher.gpus_per_node is True; expected int or null."),
        ({"setup": "module load cuda"}, "ablation.launcher.setup is 'module load cuda'; expected list or null."),
        ({"num_gpus": 1}, "has no entry 'num_gpus'"),
    ],
)
def test_a_wrong_option_is_a_sentence(options, message):
    section = {"baseline": "a", "arms": {"a": {}}, "launcher": {"name": "slurm", **options}}
    with pytest.raises(ConfigError) as error:
        read_spec([("arms.yaml", section)], "arms.yaml")
    assert str(error.value).startswith("arms.yaml: ablation.launcher.")
    assert message in str(error.value)


def test_what_submitit_refuses_is_a_sentence(tmp_path):
    one = SubmititLocalLauncher(idle_plan(tmp_path / "arms"), nodes=2)
    one.start(idle_job(tmp_path))
    with pytest.raises(ConfigError, match=r"ablation\.launcher: submitit refuses the options: "):
        one.wait(0)


def test_every_parameter_of_submitit_is_an_option():
    from submitit import AutoExecutor, SlurmExecutor

    known = {field.name for field in dataclasses.fields(SlurmLauncher)}
    # name is the launcher's own word, for which there is job_name; submitit itself warns of num_gpus.
    assert AutoExecutor._typed_parameters().keys() | SlurmExecutor._valid_parameters() <= known | {"name", "num_gpus"}


def test_without_slurms_commands_a_sentence_names_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.path.dirname("/usr/bin/env"))
    with pytest.raises(ConfigError, match="there is no srun here; run vitcli where Slurm's commands are"):
        launcher(tmp_path)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return tiny_plan(tmp_path_factory.mktemp("plan"))


@pytest.fixture
def free_cluster(cluster, monkeypatch):
    """A cluster with two free cores."""
    monkeypatch.setenv("FAKE_SLURM_CORES", "2")
    return cluster


def placed(plan, folder):
    return dataclasses.replace(plan, directory=folder / "runs" / "arms")


@pytest.mark.slow  # two trials in processes that import everything
def test_trials_under_slurm_and_under_submitits_local_executor_have_the_same_bits(plan, tmp_path, free_cluster):
    here, there = placed(plan, tmp_path / "here"), placed(plan, tmp_path / "there")
    one = SlurmLauncher(here, **FAST)
    two = SubmititLocalLauncher(there)
    one.start(job_of(here, "gelu", 1))
    causes, epochs = ends(one, 1)
    two.start(job_of(there, "gelu", 1))
    causes_there, epochs_there = ends(two, 1)
    one.stop()
    two.stop()
    assert causes == causes_there == {("gelu", 1): "the process ended with exit code 0; see log.txt"}
    assert epochs == epochs_there == {("gelu", 1): [1]}
    found, other = (read_json(where.trial_directory("gelu", 1) / "result.json") for where in (here, there))
    assert found["status"] == "done"
    assert found["metrics"] == other["metrics"]
    assert found["threads"] == 1
    log = (here.trial_directory("gelu", 1) / "log.txt").read_text()
    assert "`Trainer.fit` stopped" in log
    assert "Bypassing" not in log


@pytest.mark.slow  # a trial that starts twice
def test_a_preempted_trial_continues_from_its_checkpoint_and_a_second_runner_sees_its_end(plan, tmp_path, free_cluster):
    here = placed(plan, tmp_path)
    job = longer(job_of(here, "plain", 0), 60)
    place = here.trial_directory("plain", 0)
    first = SlurmLauncher(here, **FAST)
    first.start(job)
    first.wait(0)
    until(lambda: epochs_done(place) >= 2)
    del first
    subprocess.run(["scancel", "--signal", "USR2", "100"], check=True)
    until(lambda: fake_slurm.jobs(free_cluster)["100"]["starts"] == 2)
    second = SlurmLauncher(here, **FAST)
    second.start(job)
    causes, epochs = ends(second, 1)
    second.stop()
    assert list(causes) == list(epochs) == [("plain", 0)]
    assert fake_slurm.calls(free_cluster).count("sbatch") == 1
    result = read_json(place / "result.json")
    assert (result["status"], result["epochs"]) == ("done", 60)
    (before,) = result["resumed"]
    assert 1 <= before < 60  # an epoch is reported before its checkpoint is written
    assert "SIGUSR1 ended the training" in (place / "log.txt").read_text()


@pytest.mark.slow  # a trial's processes import everything
def test_a_trial_on_two_machines_is_one_training(plan, tmp_path, free_cluster):
    here = placed(plan, tmp_path)
    job = longer(job_of(here, "plain", 0), 1, num_nodes=2, strategy="ddp", limit_train_batches=2)
    one = SlurmLauncher(here, **FAST)
    one.start(job)
    ends(one, 1)
    one.stop()
    place = here.trial_directory("plain", 0)
    result = read_json(place / "result.json")
    assert result["status"] == "done", result
    assert result["train_images"] == 2 * 2 * 64
    assert "GLOBAL_RANK: 1, MEMBER: 2/2" in (place / "1.log.txt").read_text()


@pytest.mark.slow  # a trial that begins to train
def test_submitits_local_executor_records_a_killed_trial_and_stops_the_others(plan, tmp_path):
    here = placed(plan, tmp_path)
    one = SubmititLocalLauncher(here)
    for seed in range(2):
        one.start(longer(job_of(here, "plain", seed), 100_000))
    one.wait(0)
    places = [here.trial_directory("plain", seed) for seed in range(2)]
    until(lambda: all(epochs_done(place) for place in places))
    killed, other = (trial_process(place) for place in places)
    os.kill(killed, signal.SIGKILL)
    causes, _ = ends(one, 1)
    assert causes == {("plain", 0): "interrupted: the process was ended by signal 9 (Killed); see log.txt"}
    one.stop()
    until(lambda: not Path(f"/proc/{other}/cmdline").exists(), 10)
