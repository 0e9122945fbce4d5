"""Which launcher a configuration chooses, and a trial of several ranks under the one of this machine."""

import dataclasses

import pytest

from tests.cli.launching import ends, job_of, longer
from tests.cli.tiny_ablation import ABLATION, LIGHTNING, PLAIN, write
from vitcli.ablation.launch.choose import choose
from vitcli.ablation.launch.local import LocalLauncher
from vitcli.ablation.launch.ray.launcher import RayLauncher
from vitcli.ablation.launch.slurm.launcher import SlurmLauncher
from vitcli.ablation.plan import make_plan
from vitcli.ablation.worker import start_server
from vitcli.config.command_line import parse_arguments
from vitcli.config.errors import ConfigError
from vitcli.records.json_files import read_json

pytestmark = LIGHTNING


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    place = tmp_path_factory.mktemp("plan")
    path = write(place / "arms.yaml", PLAIN, ablation=ABLATION)
    return make_plan(parse_arguments(["--config", path, "--runs", str(place / "runs")]))


def launched_by(plan, **launcher):
    return dataclasses.replace(plan, spec=dataclasses.replace(plan.spec, launcher=launcher))


def spanning(plan, nodes: int, **launcher):
    arms = {
        name: dataclasses.replace(arm, config=arm.config | {"trainer": arm.config["trainer"] | {"num_nodes": nodes}})
        for name, arm in plan.arms.items()
    }
    return dataclasses.replace(launched_by(plan, **launcher), arms=arms)


def test_without_a_word_trials_run_on_this_machine(plan):
    one = choose(plan, 2)
    assert isinstance(one, LocalLauncher)
    assert one.places == 2


def test_a_scheduler_gets_every_trial_at_once_and_this_machine_as_many_as_fit(plan):
    ray, local = (choose(launched_by(plan, name=name), 2) for name in ("ray", "submitit_local"))
    assert isinstance(ray, RayLauncher)
    assert isinstance(local, SlurmLauncher)
    assert (ray.places, local.places) == (4, 2)
    assert not plan.directory.exists()


def test_workers_bound_what_a_scheduler_gets(plan):
    few = dataclasses.replace(plan, spec=dataclasses.replace(plan.spec, workers=3, launcher={"name": "ray"}))
    one = choose(few, 3)
    assert one.places == 3


def test_an_option_for_this_machine_is_refused(plan):
    with pytest.raises(ConfigError, match=r"ablation.launcher.partition is set, but the launcher local has no option"):
        choose(launched_by(plan, name="local", partition="gpu"), 1)


@pytest.mark.parametrize("name", ["local", "submitit_local"])
def test_a_trial_on_two_machines_is_refused_where_there_is_one(plan, name):
    with pytest.raises(
        ConfigError, match=f"trainer.num_nodes is 2, but the launcher {name} has one machine; use the la"
    ):
        choose(spanning(plan, 2, name=name), 1)


@pytest.mark.slow  # a trial's processes import everything
def test_a_trial_of_two_ranks_on_this_machine_is_one_training(plan, tmp_path):
    start_server()
    one = LocalLauncher(1)
    place = dataclasses.replace(plan, directory=tmp_path / "runs" / "arms")
    one.start(longer(job_of(place, "plain", 0), 1, devices=2, strategy="ddp", limit_train_batches=2))
    causes, epochs = ends(one, 1)
    one.stop()
    assert causes == {("plain", 0): "the process ended with exit code 0; see log.txt"}
    assert epochs == {("plain", 0): [1]}
    result = read_json(place.trial_directory("plain", 0) / "result.json")
    assert (result["status"], result["epochs"], result["train_images"]) == ("done", 1, 2 * 2 * 64), result
