"""The plan: arms resolved over files and command line, differences declared and reported, identities."""

import copy
import itertools
import json
import re
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback

from tests.cli.tiny_ablation import ABLATION, ACTIVATION, GATE, LIGHTNING, PLAIN, write
from vitcli.ablation.planning.difference import difference, gather_stages, refuse_undeclared
from vitcli.ablation.planning.identity import identity
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.ablation.planning.plan import Plan, PlannedArm, device_count
from vitcli.ablation.planning.section import read_spec
from vitcli.ablation.planning.spec import AblationSpec, Seeds
from vitcli.ablation.worker import visible_devices
from vitcli.config.command_line import parse_arguments
from vitcli.config.errors import ConfigError
from vitcli.config.lightning_cli import VitCLI, base_config, resolve

pytestmark = LIGHTNING

GELU = {"class_path": "torch.nn.GELU", "init_args": {"approximate": "none"}}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write(tmp_path_factory.mktemp("plan") / "arms.yaml", PLAIN, ablation=ABLATION)


def plan_of(path: str, *words: str) -> Plan:
    return make_plan(parse_arguments(["--config", path, *words]))


def spec_of(path: str, *words: str) -> AblationSpec:
    arguments = parse_arguments(["--config", path, *words])
    return read_spec(arguments.ablation_sections(), arguments.place)[0]


def config_of(path: str, *words: str) -> dict:
    return resolve(base_config(parse_arguments(["--config", path, *words])), path)


def leaf(plan: Plan, arm: str, *names: str):
    value = plan.arms[arm].config
    for name in names:
        value = value.get("init_args", value)[name]
    return value


def test_arms_merge_by_name_over_files_and_the_later_one_wins(tmp_path, path):
    further = {"arms": {"gelu": {ACTIVATION: "torch.nn.SiLU"}, "wide": {"model.backbone.width": 24}}, "seeds": 3}
    plan = plan_of(path, "--config", write(tmp_path / "further.yaml", ablation=further))
    assert list(plan.arms) == ["plain", "gelu", "wide"]
    assert plan.spec.seeds == Seeds(3, 3)
    assert plan.spec.baseline == "plain"
    assert leaf(plan, "gelu", "model", "backbone", "stage1", "feed_forward", "op", "activation")["class_path"] == (
        "torch.nn.SiLU"
    )
    assert plan.name == "arms"


def test_an_override_reaches_every_arm_and_an_arm_wins_only_where_it_says_so(path):
    plan = plan_of(path, f"--{ACTIVATION}", "torch.nn.SiLU", f"--{GATE}.reduction", "8")
    op = ("model", "backbone", "stage3", "feed_forward", "op")
    assert {arm: leaf(plan, arm, *op, "activation")["class_path"] for arm in plan.arms} == {
        "plain": "torch.nn.SiLU",
        "gelu": "torch.nn.GELU",
    }
    assert {leaf(plan, arm, *op, "channel_attention", "reduction") for arm in plan.arms} == {8}


def test_the_command_line_reaches_into_the_ablation(path):
    words = [
        "--ablation.arms.gelu.model.optimizer.lr",
        "1e-4",
        "--ablation.metric.direction",
        "min",
        "--ablation.only",
        "gelu",
    ]
    plan = plan_of(path, *words, "--ablation.metric.name", "test/loss")
    assert set(plan.arms["gelu"].difference) == {ACTIVATION, "model.optimizer.lr"}
    assert (plan.spec.metric.name, plan.spec.metric.direction) == ("test/loss", "min")
    assert plan.spec.chosen == ["gelu"]


def test_dotted_keys_of_the_ablation_work_in_a_file_too(tmp_path, path):
    dotted = write(tmp_path / "dotted.yaml", {"ablation.seeds": 4, "ablation.arms.plain": {"data.val_size": 50}})
    plan = plan_of(path, "--config", dotted)
    assert plan.spec.seeds == Seeds(4, 4)
    assert plan.arms["gelu"].difference["data.val_size"] == [50, 100]


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        (["--ablation.seeds.baseline", "10"], Seeds(10, 2)),
        (["--ablation.seeds", "{baseline: 10, arms: 5}"], Seeds(10, 5)),
        (["--ablation.seeds.baseline", "10", "--ablation.seeds", "3"], Seeds(3, 3)),
    ],
)
def test_the_baseline_may_have_more_seeds_and_one_number_is_for_all_arms(words, seeds, path):
    spec = spec_of(path, *words)
    assert spec.seeds == seeds
    assert (list(spec.seeds_of("plain")), list(spec.seeds_of("gelu"))) == (
        list(range(seeds.baseline)),
        list(range(seeds.arms)),
    )
    assert spec.trials == seeds.baseline + seeds.arms


def test_how_results_are_judged_is_declared_and_changes_no_identity(path):
    words = [
        "--ablation.seeds",
        "4",
        "--ablation.looks",
        "[2, 4]",
        "--ablation.margin",
        "1",
        "--ablation.pairing",
        "none",
    ]
    plan, before = plan_of(path, *words), plan_of(path)
    assert (plan.spec.looks, plan.spec.margin, plan.spec.pairing) == ([2, 4], 1.0, "none")
    assert (before.spec.looks, before.spec.margin, before.spec.pairing) == ([], None, "estimated")
    assert {arm: one.id for arm, one in plan.arms.items()} == {arm: one.id for arm, one in before.arms.items()}


def test_the_question_is_the_header_s_unless_the_section_asks_one(tmp_path):
    text = "# Question  Which one,\n#   and why?\n# Source    nobody\n"
    (tmp_path / "asked.yaml").write_text(text + Path(write(tmp_path / "x.yaml", PLAIN, ablation=ABLATION)).read_text())
    assert plan_of(str(tmp_path / "asked.yaml")).question == "Which one, and why?"
    assert plan_of(str(tmp_path / "asked.yaml"), "--ablation.question", "What else?").question == "What else?"


def test_a_difference_that_is_the_same_in_all_stages_is_written_once(path):
    hardswish = {"class_path": "torch.nn.Hardswish", "init_args": {"inplace": False}}
    assert plan_of(path).arms["gelu"].difference == {ACTIVATION: [hardswish, GELU]}


def test_a_difference_in_some_stages_keeps_their_names(path):
    words = [f"--ablation.arms.gelu.{ACTIVATION.replace('every', 'stage2')}", "torch.nn.SiLU"]
    assert sorted(plan_of(path, *words).arms["gelu"].difference) == [
        ACTIVATION.replace("every", stage) for stage in ("stage1", "stage2", "stage3")
    ]


@pytest.mark.parametrize(
    ("stages", "differing", "expected"),
    [
        (4, 4, ["model.every.x"]),
        (4, 3, ["model.stage1.x", "model.stage2.x", "model.stage3.x"]),
        (2, 2, ["model.every.x"]),
        (3, 1, ["model.stage1.x"]),
    ],
)
def test_every_means_all_the_stages_that_the_model_has(stages, differing, expected):
    config = {"model": {f"stage{i}": {"x": i <= differing} for i in range(1, stages + 1)}}
    changed = {f"model.stage{i}.x": [False, True] for i in range(1, differing + 1)}
    assert list(gather_stages(changed, config)) == expected


@pytest.mark.parametrize(
    "arm",
    [
        {ACTIVATION: "torch.nn.GELU"},
        {f"{ACTIVATION}.class_path": "torch.nn.GELU"},
        {ACTIVATION.replace("feed_forward.op.", "feed_forward.init_args.op.init_args."): "torch.nn.GELU"},
        {"model": {"backbone": {"every": {"feed_forward.op": {"activation": {"class_path": "torch.nn.GELU"}}}}}},
        {ACTIVATION.replace("every", f"stage{i}"): "torch.nn.GELU" for i in (1, 2, 3)},
    ],
)
def test_a_difference_that_the_arm_declares_passes(arm, path):
    changed = difference(config_of(path), config_of(path, f"--{ACTIVATION}", "torch.nn.GELU"))
    refuse_undeclared(changed, ({}, arm), "here")
    refuse_undeclared(changed, (arm, {}), "here")


@pytest.mark.parametrize(
    "arm",
    [
        {},
        {ACTIVATION.replace("every", "stage1"): "torch.nn.GELU"},
        {"model": {"backbone": {"every": {"feed_forward": {"op": {"ratio": 4.0}}}}}},
        {f"{ACTIVATION}s": "torch.nn.GELU"},
        {"data.val_size": 100},
        {"model.backbone.every.feed_forward.op.activation.inplace": True},
    ],
)
def test_a_difference_that_no_arm_declares_is_refused(arm, path):
    changed = difference(config_of(path), config_of(path, f"--{ACTIVATION}", "torch.nn.GELU"))
    with pytest.raises(
        ConfigError, match=r"^here: model\.backbone\.stage\d\.feed_forward\.op\.activation is .* add it to the arm\.$"
    ):
        refuse_undeclared(changed, ({}, arm), "here")


def test_what_an_arm_appends_is_declared(path):
    callback = {"class_path": "lightning.pytorch.callbacks.LearningRateMonitor"}
    words = ["--ablation.arms.gelu.trainer.callbacks+", json.dumps(callback)]
    assert set(plan_of(path, *words).arms["gelu"].difference) == {ACTIVATION, "trainer.callbacks"}


@pytest.mark.parametrize(
    "words",
    [
        "--runs elsewhere",
        "--trainer.devices 2",
        "--trainer.accelerator auto",
        "--trainer.strategy ddp",
        "--trainer.num_nodes 2",
        "--trainer.logger lightning.pytorch.loggers.CSVLogger --trainer.logger.save_dir x",
        "--trainer.enable_progress_bar true",
        "--trainer.log_every_n_steps 7",
        "--data.workers 3",
        "--data.seed 5",
        "--seed_everything 5",
        "--model.optimizer.lr 0.001",
        "--model.backbone.every.feed_forward.op.ratio 4",
    ],
)
def test_an_identity_does_not_depend_on_where_and_how_it_runs(words, path):
    assert identity(config_of(path, *words.split())) == identity(config_of(path))


@pytest.mark.parametrize(
    "words",
    [
        "--trainer.max_epochs 2",
        "--trainer.precision bf16-mixed",
        "--trainer.limit_train_batches 3",
        "--data.batch_size 32",
        "--data.canvas 24",
        "--model.optimizer.lr 0.002",
        "--model.optimizer torch.optim.SGD",
        "--model.mixing.mixup 0.5",
        "--model.backbone.drop_path_rate 0.1",
        "--model.backbone.stage2.feed_forward.op.ratio 3",
        f"--{ACTIVATION} torch.nn.GELU",
        f"--{GATE}.gate torch.nn.Sigmoid",
        "--threads 2",
    ],
)
def test_an_identity_changes_with_what_is_computed(words, path):
    assert identity(config_of(path, *words.split())) != identity(config_of(path))


def test_an_identity_does_not_depend_on_the_order_of_keys(tmp_path, path):
    turned = dict(reversed(PLAIN.items()))
    assert identity(config_of(write(tmp_path / "turned.yaml", turned))) == identity(config_of(path))


def test_the_root_of_image_folders_is_not_part_of_an_identity(path):
    one, two = (
        identity(config_of(path, "--data", f"{{class_path: vittasks.ImageFolder, root: {root}}}")) for root in "ab"
    )
    assert one == two != identity(config_of(path))


def test_a_trial_differs_from_its_arm_in_the_seeds_alone(path):
    plan = plan_of(path)
    assert difference(plan.trial_config("gelu", 0), plan.trial_config("gelu", 3)) == {
        "seed_everything": [0, 3],
        "data.seed": [0, 3],
    }
    assert difference(plan.arms["gelu"].config, plan.trial_config("gelu", 0)) == {}


def test_the_plan_is_plain_data(path):
    plan = plan_of(path)
    assert json.loads(json.dumps(plan.arms["gelu"].config)) == plan.arms["gelu"].config
    assert re.fullmatch("[0-9a-f]{16}", plan.arms["gelu"].id)


def test_planning_leaves_the_sections_as_they_were():
    section = {"baseline": "a", "arms": {"a": {"x": 1}, "b": None}}
    before = copy.deepcopy(section)
    spec, places = read_spec([("one", section), ("two", {"arms.b.y": 2, "seeds": 2})], "one")
    assert section == before
    assert spec == AblationSpec("a", {"a": {"x": 1}, "b": {"y": 2}}, seeds=Seeds(2, 2))
    assert places["arms.b"] == places["seeds"] == "two"
    assert places["arms.a"] == "one"


@pytest.mark.parametrize(
    ("devices", "number"), [("auto", 1), (-1, 1), (1, 1), (4, 4), ("4", 4), ("0,1", 2), ([0, 2, 3], 3)]
)
def test_the_number_of_devices_of_a_trial_is_read_from_the_trainer(devices, number):
    assert device_count({"devices": devices}) == number


@pytest.mark.parametrize(
    ("gpus", "devices", "places"),
    [
        (0, "auto", [()]),
        (0, 8, [()]),
        (2, "auto", [(0,), (1,)]),
        (8, 8, [(0, 1, 2, 3, 4, 5, 6, 7)]),
        (5, 2, [(0, 1), (2, 3)]),
    ],
)
def test_trials_share_the_gpus_by_what_each_asks_for(gpus, devices, places, tmp_path):
    arm = PlannedArm({"trainer": {"devices": devices}}, "", {}, 0, 0)
    assert Plan("x", tmp_path, "", AblationSpec("a", {"a": {}}), {"a": arm}, gpus).places == places


@pytest.mark.parametrize(
    ("gpus", "allowed", "seen"),
    [((0,), None, "0"), ((2, 3), "", "2,3"), ((0, 1), "4,6,7", "4,6"), ((1,), "GPU-a, GPU-b", "GPU-b")],
)
def test_a_trial_s_gpus_are_counted_among_those_that_the_user_allows(gpus, allowed, seen):
    assert visible_devices(gpus, allowed) == seen


def test_arms_see_the_same_batches_in_every_epoch_for_any_number_of_workers(path):
    plan = plan_of(path, "--ablation.arms.wide.model.backbone.width", "24")

    def batches(arm: str, seed: int, workers: int) -> list[torch.Tensor]:
        config = plan.trial_config(arm, seed)
        config["data"]["init_args"]["workers"] = workers
        loader, seen = VitCLI(config).datamodule.train_dataloader(), []  # behind whatever building the model has drawn
        for epoch in (0, 1):
            loader.sampler.set_epoch(epoch)
            seen.append(torch.cat([images for images, _ in itertools.islice(loader, 3)]))
        return seen

    first, second = batches("plain", 1, 0)
    assert not torch.equal(first, second)
    for arm, workers in (("plain", 2), ("gelu", 0), ("wide", 2)):
        others = batches(arm, 1, workers)
        assert torch.equal(others[0], first)
        assert torch.equal(others[1], second)
    assert not torch.equal(batches("plain", 2, 0)[0], first)


def test_the_levels_of_factors_and_the_budget_are_part_of_the_plan(tmp_path):
    factors = {
        "act": {"hardswish": {}, "gelu": {ACTIVATION: "torch.nn.GELU"}},
        "lr": {3: {}, 1: {"model.optimizer.lr": 2e-3}},
    }
    section = {"seeds": 2, "factors": factors, "arms": {"wide": {"model.backbone.width": 24}}}
    plan = plan_of(write(tmp_path / "grid.yaml", PLAIN, ablation=section))
    assert plan.levels["gelu-1"] == {"act": "gelu", "lr": "1"}
    assert list(plan.levels) == ["hardswish-3", "hardswish-1", "gelu-3", "gelu-1"]
    assert list(plan.arms) == [*plan.levels, "wide"]
    assert plan.budget == {"equal": "epochs", "epochs": dict.fromkeys(plan.arms, 1)}


def test_a_later_file_restates_one_level_and_leaves_the_others(tmp_path):
    factors = {
        "size": {"small": {}, "big": {"data.canvas": 40}},
        "act": {"hardswish": {}, "gelu": {ACTIVATION: "torch.nn.GELU"}},
    }
    path = write(tmp_path / "grid.yaml", PLAIN, ablation={"factors": factors})
    further = write(tmp_path / "further.yaml", {"ablation.factors.size": {"big": {"data.canvas": 48}}})
    plan = plan_of(path, "--config", further, "--ablation.factors.act.gelu.model.optimizer.lr", "2e-3")
    assert list(plan.arms) == ["small-hardswish", "small-gelu", "big-hardswish", "big-gelu"]
    assert {key: pair[1] for key, pair in plan.arms["big-gelu"].difference.items() if key != ACTIVATION} == {
        "data.canvas": 48,
        "model.optimizer.lr": 0.002,
    }


def launcher_of(path: str, *words: str) -> tuple[str, dict]:
    """Return the launcher's name and the options that are not at their defaults."""
    spec = spec_of(path, *words)
    bare = {"baseline": "a", "arms": {"a": {}}, "launcher": spec.launcher["class_path"]}
    defaults = read_spec([("bare", bare)], "bare")[0].launcher.get("init_args", {})
    given = spec.launcher.get("init_args", {})
    return spec.launcher_name, {name: value for name, value in given.items() if value != defaults[name]}


@pytest.mark.parametrize(
    ("words", "name", "options"),
    [
        ([], "local", {}),
        (["--launcher", "ray"], "ray", {}),
        (["--launcher.partition", "gpu", "--launcher", "slurm"], "slurm", {"partition": "gpu"}),
        (["--ablation.launcher", "{name: slurm, timeout_min: 50}"], "slurm", {"timeout_min": 50}),
        (["--launcher", "slurm", "--launcher.slurm_qos", "high"], "slurm", {"qos": "high"}),
        (["--ablation.launcher", "vitcli.RayLauncher"], "ray", {}),
        (["--ablation.launcher", "{class_path: vitcli.SlurmLauncher, mem_gb: 4}"], "slurm", {"mem_gb": 4}),
        (["--ablation.launcher", "{class_path: vitcli.RayLauncher, init_args: {num_gpus: 1}}"], "ray", {"num_gpus": 1}),
    ],
)
def test_the_launcher_is_a_word_or_a_class_and_its_options_stand_beside_it(words, name, options, path):
    assert launcher_of(path, *words) == (name, options)


def test_options_are_added_to_the_file_s_launcher_and_another_launcher_drops_them(tmp_path):
    section = {**ABLATION, "launcher": {"name": "slurm", "partition": "gpu", "timeout_min": 50}}
    file = write(tmp_path / "slurm.yaml", PLAIN, ablation=section)

    def options(*words: str) -> dict:
        name, given = launcher_of(file, *words)
        return {"name": name, **given}

    assert options("--launcher.partition", "cpu") == {"name": "slurm", "partition": "cpu", "timeout_min": 50}
    assert options("--launcher", "slurm") == section["launcher"]
    assert options("--launcher", "ray", "--launcher.num_gpus", "0.5") == {"name": "ray", "num_gpus": 0.5}


@pytest.mark.parametrize(("words", "retry"), [([], []), (["--retry", "failed"], ["failed"])])
def test_failed_trials_are_run_again_where_the_file_says_so(words, retry, path):
    assert spec_of(path, *words).retry == retry


def test_a_trial_for_other_machines_is_planned_without_their_devices(path):
    words = ["--trainer.accelerator", "gpu", "--trainer.devices", "8", "--trainer.precision", "16-mixed"]
    plan = plan_of(path, *words, "--launcher", "slurm")
    assert plan.arms["plain"].config["trainer"]["devices"] == 8
    assert plan.arms["plain"].macs == plan_of(path).arms["plain"].macs


def test_devices_that_this_machine_has_not_are_named(path):
    with pytest.raises(ConfigError) as caught:
        plan_of(path, "--trainer.accelerator", "tpu", "--trainer.devices", "8")
    assert str(caught.value).endswith(
        "trainer.accelerator is 'tpu' and trainer.devices 8, which this machine does not have; change them, or plan for "
        "other machines with --launcher slurm."
    )


@pytest.mark.parametrize(("name", "checked"), [("test/acc1", True), ("test/loss", True), ("val/acc1", False)])
def test_a_metric_is_one_that_a_test_logs(name, checked, path):
    if checked:
        assert plan_of(path, "--ablation.metric.name", name).spec.metric.name == name
        return
    with pytest.raises(ConfigError, match=r"does not log; valid names are test/acc1, test/acc5, test/loss\.$"):
        plan_of(path, "--ablation.metric.name", name)


def test_a_metric_that_a_callback_may_log_is_not_refused(path):
    words = [
        "--trainer.callbacks+",
        "{class_path: tests.cli.ablation.planning.test_plan.Further}",
        "--ablation.metric.name",
        "test/further",
    ]
    assert plan_of(path, *words).spec.metric.name == "test/further"


class Further(Callback):
    """Somebody's own, which may log anything."""
