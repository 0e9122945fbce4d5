"""An ablation from the command to the report: interrupted, taken up again, extended, and with trials that fail."""

import fcntl
import json
import shutil
import time
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback

from tests.cli.processes import Running
from tests.cli.tiny_ablation import ABLATION, ACTIVATION, LIGHTNING, PLAIN, results, write
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.config.command_line import parse_arguments
from vitcli.config.lightning_cli import VitCLI
from vitcli.main import main

pytestmark = LIGHTNING

TRIALS = ["gelu/seed0", "gelu/seed1", "plain/seed0", "plain/seed1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("ablation")
    write(place / "arms.yaml", PLAIN, ablation=ABLATION)
    return place


@pytest.fixture(scope="module")
def interrupted(folder):
    """The real command, interrupted after its first trial: its end, the processes left then, and the results then."""
    running = Running("fit", "--config", "arms.yaml", "--ablation.workers", "1", folder=folder)
    try:
        running.wait_for(lambda: results(folder / "runs" / "arms"))
        running.interrupt()
        return running.end(), running.left(), results(folder / "runs" / "arms"), running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def finished(folder, interrupted):
    """The same command again, to the end."""
    running = Running("fit", "--config", "arms.yaml", "--ablation.workers", "1", folder=folder)
    try:
        return running.end()
    finally:
        running.stop()


@pytest.fixture
def copy(folder, finished, tmp_path, monkeypatch):
    """The finished ablation in a folder of the test's own, which is the working directory."""
    shutil.copytree(folder, tmp_path / "here")
    # What the interrupted trial left, if it had begun: whether it had is a matter of chance.
    shutil.rmtree(tmp_path / "here" / "runs" / "arms" / ".superseded", ignore_errors=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here" / "runs" / "arms"


def stamps(directory: Path) -> dict[str, int]:
    return {trial: (directory / trial / "result.json").stat().st_mtime_ns for trial in results(directory)}


def test_ctrl_c_ends_with_130_keeps_what_is_done_and_leaves_no_process(interrupted):
    (code, out, errors), left, done, _ = interrupted
    assert code == 130
    assert left == []
    assert 1 <= len(done) < len(TRIALS)
    assert all(result["status"] == "done" for result in done.values())
    assert f"the same command runs the {len(TRIALS) - len(done)} trials that are left." in out
    assert errors == ""


def test_an_interrupted_ablation_holds_no_half_written_result(folder, interrupted):
    assert not [path for path in folder.rglob(".result.json*") if path.is_file()]


def test_the_same_command_finishes_what_was_interrupted(folder, interrupted, finished):
    code, out, errors = finished
    assert code == 0
    assert errors == ""
    kept = interrupted[2]
    assert f"{len(kept)} of 4 trials are done already and are skipped." in out
    now = results(folder / "runs" / "arms")
    assert sorted(now) == TRIALS
    assert {trial: now[trial] for trial in kept} == kept


def test_the_table_is_printed_and_the_report_lies_beside_it(folder, finished):
    _, out, _ = finished
    lines = [line.split() for line in out.splitlines()]
    assert any(line[:2] == ["plain", "2"] for line in lines)
    assert any(line[:2] == ["gelu", "2"] for line in lines)
    assert "Report: runs/arms/report.md" in out
    report = (folder / "runs" / "arms" / "report.md").read_text()
    assert "gelu" in report
    assert (folder / "runs" / "arms" / "report.csv").stat().st_size > 0


def test_a_trial_that_is_not_watched_leaves_one_line_for_each_trial(finished):
    _, out, _ = finished
    assert "[4/4] gelu seed 1: test/acc1 " in out
    assert "GPU available" not in out


def test_every_trial_has_finite_metrics_and_what_made_them(folder, finished):
    directory = folder / "runs" / "arms"
    ids = {arm: record["id"] for arm, record in json.loads((directory / "ablation.json").read_text())["arms"].items()}
    for trial, result in results(directory).items():
        arm, seed = trial.split("/seed")
        assert (result["arm"], result["seed"], result["id"]) == (arm, int(seed), ids[arm])
        assert (result["status"], result["epochs"], result["threads"]) == ("done", 1, 1)
        assert set(result["metrics"]) == {"test/loss", "test/acc1", "test/acc5"}
        assert all(0 <= value < 100 for value in result["metrics"].values())
        assert result["train_images"] == 2 * 64
        for name in ("config.yaml", "metrics.csv", "last.ckpt", "log.txt"):
            assert (directory / trial / name).stat().st_size > 0
        assert list((directory / trial).glob("events.out.tfevents.*"))


def test_the_record_says_what_was_compared_and_by_which_command(folder, finished):
    record = json.loads((folder / "runs" / "arms" / "ablation.json").read_text())
    assert record["command"] == "vitcli fit --config arms.yaml --ablation.workers 1"
    assert record["seeds"] == [0, 1]
    assert list(record["arms"]) == ["plain", "gelu"]
    assert list(record["arms"]["gelu"]["difference"]) == [ACTIVATION]
    assert record["arms"]["plain"]["parameters"] == record["arms"]["gelu"]["parameters"] > 0


def test_the_checkpoint_of_a_trial_needs_no_code_to_load(folder, finished):
    state = torch.load(folder / "runs" / "arms" / "gelu" / "seed1" / "last.ckpt", weights_only=True)
    assert state["epoch"] == 0
    assert state["global_step"] == 2
    assert all(torch.isfinite(weight).all() for weight in state["state_dict"].values())


def test_arms_start_from_the_same_weights_wherever_they_share_them(folder):
    changes = {"model.backbone.every.feed_forward.op": "vitcore.Mlp"}
    words = ["--config", str(folder / "arms.yaml"), "--ablation.arms.mlp", json.dumps(changes)]
    plan = make_plan(parse_arguments(words))

    def start(arm: str, seed: int) -> dict[str, torch.Tensor]:
        return dict(VitCLI(plan.trial_config(arm, seed)).model.named_parameters())

    plain, gelu, mlp, other = start("plain", 1), start("gelu", 1), start("mlp", 1), start("plain", 2)
    assert plain.keys() == gelu.keys()
    assert all(torch.equal(plain[name], gelu[name]) for name in plain)
    shared = [name for name in plain if name in mlp and plain[name].shape == mlp[name].shape]
    assert len(shared) > 20
    assert all(torch.equal(plain[name], mlp[name]) for name in shared)
    drawn = [name for name in plain if plain[name].std() > 0]
    assert len(drawn) > 10
    assert not any(torch.equal(plain[name], other[name]) for name in drawn)


def test_a_second_run_trains_nothing_and_says_so(copy, capsys):
    before = stamps(copy)
    assert main(["fit", "--config", "arms.yaml"]) == 0
    assert "4 of 4 trials are done already and are skipped." in capsys.readouterr().out
    assert stamps(copy) == before


def test_a_further_seed_trains_only_the_new_trials(copy, capsys):
    before = stamps(copy)
    assert main(["fit", "--config", "arms.yaml", "--ablation.seeds", "3", "--ablation.only", "gelu"]) == 0
    out = capsys.readouterr().out
    assert "2 of 3 trials are done already and are skipped." in out
    after = stamps(copy)
    assert sorted(set(after) - set(before)) == ["gelu/seed2"]
    assert {trial: after[trial] for trial in before} == before


def test_a_trial_of_another_configuration_is_put_aside_not_deleted(copy):
    old = (copy / "gelu" / "seed0" / "result.json").read_bytes()
    words = ["--data.val_size", "50", "--ablation.only", "gelu", "--ablation.seeds", "1", "--trainer.logger", "false"]
    assert main(["fit", "--config", "arms.yaml", *words]) == 0
    assert (copy / ".superseded" / "gelu" / "seed0.1" / "result.json").read_bytes() == old
    assert (copy / ".superseded" / "gelu" / "seed0.1" / "last.ckpt").exists()
    new = results(copy)
    assert new["gelu/seed0"]["id"] != json.loads(old)["id"]
    assert new["plain/seed0"]["id"] == new["plain/seed1"]["id"]
    assert not (copy / ".superseded" / "plain").exists()


def test_a_trial_without_a_whole_result_goes_on_where_it_ended(copy):
    old = results(copy)["plain/seed1"]
    others = {trial: stamp for trial, stamp in stamps(copy).items() if trial != "plain/seed1"}
    (copy / "plain" / "seed1" / "result.json").write_text('{"format": 1, "status": "do')
    assert main(["fit", "--config", "arms.yaml"]) == 0
    new = results(copy)["plain/seed1"]
    assert (new["metrics"], new["train_images"]) == (old["metrics"], old["train_images"])
    assert new["resumed"][-1] == 1
    assert not (copy / ".superseded").exists()
    assert {trial: stamps(copy)[trial] for trial in others} == others


class Late(Callback):
    """Fails in the second batch, later than a rehearsal."""

    def on_train_batch_start(self, trainer, module, batch, index):
        if index == 1:
            raise ValueError("failed late")


@pytest.fixture(scope="module")
def failing(folder, tmp_path_factory):
    """An ablation elsewhere, of which one arm cannot learn; its exit code and directory."""
    place = tmp_path_factory.mktemp("failing")
    arms = {"plain": {}, "hot": {"model.optimizer.lr": 1e30}, "late": {"trainer.callbacks": [f"{__name__}.Late"]}}
    path = write(place / "failing.yaml", PLAIN, ablation=ABLATION | {"arms": arms, "seeds": 1})
    return main(["fit", "--config", path, "--runs", str(place / "elsewhere")]), place / "elsewhere" / "failing"


def test_a_failing_trial_is_recorded_with_its_cause_and_the_others_are_done(failing):
    code, directory = failing
    assert code == 1
    found = results(directory)
    assert {trial: result["status"] for trial, result in found.items()} == {
        "plain/seed0": "done",
        "hot/seed0": "failed",
        "late/seed0": "failed",
    }
    assert found["hot/seed0"]["cause"].startswith("ArithmeticError: the loss is nan at step 1 (epoch 0, batch 1; ")
    assert found["late/seed0"]["cause"].startswith("ValueError: failed late")
    assert "Traceback" in (directory / "late" / "seed0" / "log.txt").read_text()


def test_a_failed_trial_keeps_the_end_of_its_log(failing):
    late = results(failing[1])["late/seed0"]
    assert late["log"][0] != "Traceback (most recent call last):"
    assert len(late["log"]) == 20
    assert late["log"][-1].startswith("ValueError: failed late")
    assert late["provenance"]["versions"].keys() >= {"python", "torch", "vitcli"}


def test_failed_trials_are_kept_and_run_again_when_asked(failing, capsys):
    code, directory = failing
    path, before = str(directory.parents[1] / "failing.yaml"), stamps(directory)
    assert main(["fit", "--config", path, "--runs", str(directory.parent)]) == code
    output = capsys.readouterr().out
    assert "1 of 3 trials are done already and are skipped." in output
    assert "2 of 3 trials failed earlier and are kept; --retry failed runs them again." in output
    assert stamps(directory) == before
    assert main(["fit", "--config", path, "--runs", str(directory.parent), "--ablation.retry", "failed"]) == code
    after = stamps(directory)
    assert {trial for trial in after if after[trial] != before[trial]} == {"hot/seed0", "late/seed0"}
    # What diverged would diverge again from its checkpoint: it began anew, and the old try is kept.
    assert results(directory)["hot/seed0"]["resumed"] == []
    assert (directory / ".superseded" / "hot" / "seed0.1" / "result.json").exists()
    assert results(directory)["late/seed0"]["resumed"] == [0]
    assert not (directory / ".superseded" / "late").exists()


def test_the_report_names_the_failed_trials(failing):
    report = (failing[1] / "report.md").read_text()
    assert "the loss is nan at step 1 (epoch 0, batch 1; " in report
    assert "failed late" in report


def test_the_same_trial_elsewhere_has_the_same_bits(folder, finished, failing):
    one, other = folder / "runs" / "arms" / "plain" / "seed0", failing[1] / "plain" / "seed0"
    first, second = (torch.load(place / "last.ckpt", weights_only=True)["state_dict"] for place in (one, other))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    metrics = [json.loads((place / "result.json").read_text())["metrics"] for place in (one, other)]
    assert metrics[0] == metrics[1]


def test_a_trial_of_another_seed_or_arm_has_other_bits(folder, finished):
    directory = folder / "runs" / "arms"
    losses = {result["metrics"]["test/loss"] for result in results(directory).values()}
    assert len(losses) == len(TRIALS)


def test_a_metric_that_a_test_does_not_log_is_refused_before_anything_is_trained(copy, capsys):
    before = results(copy)
    words = ["--ablation.metric", "test/acc", "--ablation.seeds", "3", "--ablation.only", "plain"]
    assert main(["fit", "--config", "arms.yaml", *words]) == 2
    assert "does not log; did you mean test/acc" in capsys.readouterr().err
    assert results(copy) == before


@pytest.fixture(scope="module")
def long_run(folder):
    """The real command on trials that would take hours, with loader processes, two trials at once."""
    words = ["--trainer.max_epochs", "100000", "--data.workers", "1", "--ablation.workers", "2", "--runs", "long"]
    running = Running("fit", "--config", "arms.yaml", *words, folder=folder)
    try:
        running.wait_for(lambda: len(list((folder / "long").rglob("last.ckpt"))) == 2)
        yield running
    finally:
        running.stop()


def test_a_directory_has_one_runner_at_a_time(folder, long_run, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    before = sorted(folder.joinpath("long").glob("*"))
    assert main(["fit", "--config", "arms.yaml", "--runs", "long"]) == 2
    output = capsys.readouterr().err
    assert (
        output == "vitcli: long/arms: another vitcli is running this ablation; wait until it ends, or use --runs DIR.\n"
    )
    assert sorted(folder.joinpath("long").glob("*")) == before
    assert long_run.process.poll() is None


def test_trials_and_their_loaders_end_with_a_runner_that_is_killed(folder, long_run):
    # The runner, the server that forks, two trials, a loader each, and multiprocessing's tracker.
    assert len(long_run.left()) >= 6
    long_run.process.kill()
    long_run.process.wait()
    until = time.monotonic() + 20
    while long_run.left() and time.monotonic() < until:
        time.sleep(0.02)
    assert long_run.left() == []
    assert not list((folder / "long").rglob("result.json"))
    with (folder / "long" / "arms" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
