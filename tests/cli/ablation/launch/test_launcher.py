"""Which launcher a configuration names, a user's own one, and a trial of several ranks under the one of this machine."""

import dataclasses
import subprocess
import sys

import pytest

import vitcli
from tests.cli.launching import ends, job_of, launched_by, longer
from tests.cli.tiny_ablation import ABLATION, LIGHTNING, PLAIN, results, write
from vitcli.ablation.launch.launcher import Ended, Launcher, make_launcher
from vitcli.ablation.launch.local import LocalLauncher
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.ablation.worker import start_server
from vitcli.config.command_line import parse_arguments
from vitcli.config.errors import ConfigError
from vitcli.main import main
from vitcli.records.json_files import read_json, write_json

pytestmark = LIGHTNING


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    place = tmp_path_factory.mktemp("plan")
    path = write(place / "arms.yaml", PLAIN, ablation=ABLATION)
    return make_plan(parse_arguments(["--config", path, "--runs", str(place / "runs")]))


def spanning(plan, nodes: int):
    arms = {
        name: dataclasses.replace(arm, config=arm.config | {"trainer": arm.config["trainer"] | {"num_nodes": nodes}})
        for name, arm in plan.arms.items()
    }
    return dataclasses.replace(plan, arms=arms)


def test_without_a_word_trials_run_on_this_machine(plan):
    two = dataclasses.replace(plan, spec=dataclasses.replace(plan.spec, workers=2))
    launcher = make_launcher(two)
    assert isinstance(launcher, LocalLauncher)
    assert launcher.places == 2


def test_a_scheduler_gets_every_trial_at_once_and_this_machine_as_many_as_fit(plan):
    ray, local = (
        make_launcher(launched_by(plan, f"vitcli.{name}")) for name in ("RayLauncher", "SubmititLocalLauncher")
    )
    assert isinstance(ray, vitcli.RayLauncher)
    assert isinstance(local, vitcli.SubmititLocalLauncher)
    assert (ray.places, local.places) == (4, plan.parallel_trials(4))
    assert not plan.directory.exists()


def test_workers_bound_what_a_scheduler_gets(plan):
    few = dataclasses.replace(plan, spec=dataclasses.replace(plan.spec, workers=3))
    assert make_launcher(launched_by(few, "vitcli.RayLauncher")).places == 3


@pytest.mark.parametrize(
    ("name", "class_path"), [("local", "vitcli.LocalLauncher"), ("submitit_local", "vitcli.SubmititLocalLauncher")]
)
def test_a_trial_on_two_machines_is_refused_where_there_is_one(plan, name, class_path):
    with pytest.raises(
        ConfigError, match=f"trainer.num_nodes is 2, but the launcher {name} has one machine; use the la"
    ):
        make_launcher(launched_by(spanning(plan, 2), class_path))


def test_importing_vitcli_imports_no_launcher():
    code = "import sys, vitcli; vitcli.LocalLauncher, vitcli.RayLauncher, vitcli.SlurmLauncher; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "lightning", "ray", "submitit"}.intersection(out.split())
    bare = code.replace("vitcli.LocalLauncher, vitcli.RayLauncher, vitcli.SlurmLauncher; ", "")
    out = subprocess.run([sys.executable, "-c", bare], capture_output=True, text=True, check=True).stdout
    assert "vitcli.ablation" not in out.split()
    with pytest.raises(AttributeError, match="module 'vitcli' has no attribute 'PbsLauncher'"):
        vitcli.PbsLauncher  # noqa: B018


class Invented(Launcher):
    """A user's own launcher, whose trials all end with one number."""

    def __init__(self, plan, value: float, places: int = 1) -> None:
        if places > 4:
            raise ValueError(f"places is {places}; expected at most 4.")
        self.plan, self.value, self.places = plan, value, places
        self.started = []

    def start(self, job):
        self.started.append((job["arm"], job["seed"]))

    def wait(self, seconds):
        arm, seed = self.started.pop(0)
        head = {"format": 1, "arm": arm, "seed": seed, "id": self.plan.arms[arm].id, "status": "done", "epochs": 1}
        metrics = {"test/acc1": self.value + 0.01 * seed}
        place = self.plan.trial_directory(arm, seed)
        place.mkdir(parents=True)
        write_json(place / "result.json", {**head, "metrics": metrics, "train_seconds": 1.0})
        return [((arm, seed), Ended("done"))]

    def stop(self):
        self.started.clear()


OWN = f"{__name__}.Invented"


def own(folder, **options):
    section = {**ABLATION, "launcher": {"class_path": OWN, **options}}
    return write(folder / "arms.yaml", PLAIN, ablation=section)


@pytest.mark.slow
def test_a_user_s_own_launcher_is_named_by_its_class_and_runs_the_trials(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--config", own(tmp_path, value=0.5), "--launcher.places", "2"]) == 0
    found = results(tmp_path / "runs" / "arms")
    assert {trial: result["metrics"]["test/acc1"] for trial, result in found.items()} == {
        "plain/seed0": 0.5,
        "plain/seed1": 0.51,
        "gelu/seed0": 0.5,
        "gelu/seed1": 0.51,
    }
    capfd.readouterr()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "arms.yaml: ablation.launcher.value is missing"),
        ({"value": "much"}, "arms.yaml: ablation.launcher.value is 'much'; expected float."),
        ({"vaule": 1}, "ablation.launcher.vaule has no entry 'vaule' in ablation.launcher; did you mean value?"),
        ({"value": 1, "plan": 2}, "ablation.launcher.plan has no entry 'plan' in ablation.launcher"),
        ({"value": 1, "places": 9}, "ablation.launcher: places is 9; expected at most 4."),
    ],
)
def test_the_options_of_a_user_s_own_launcher_are_those_of_its_constructor(
    options, message, tmp_path, capfd, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--config", own(tmp_path, **options)]) == 2
    assert message in capfd.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow  # a trial's processes import everything
def test_a_trial_of_two_ranks_on_this_machine_is_one_training(plan, tmp_path):
    start_server()
    place = dataclasses.replace(plan, directory=tmp_path / "runs" / "arms")
    one = LocalLauncher(place)
    one.start(longer(job_of(place, "plain", 0), 1, devices=2, strategy="ddp", limit_train_batches=2))
    causes, epochs = ends(one, 1)
    one.stop()
    assert causes == {("plain", 0): "the process ended with exit code 0; see log.txt"}
    assert epochs == {("plain", 0): [1]}
    result = read_json(place.trial_directory("plain", 0) / "result.json")
    assert (result["status"], result["epochs"], result["train_images"]) == ("done", 1, 2 * 2 * 64), result
