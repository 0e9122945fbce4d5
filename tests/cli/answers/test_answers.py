"""Answers that are kept: records, page and table, marks of what has changed since, and repeated trials."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.ablation_directory import edit_result, make_arms
from tests.cli.tiny_ablation import ABLATION, LIGHTNING, PLAIN, TRAINER, write
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.answers.answer import Answer, answers_in, current_identities
from vitcli.answers.check import prediction_interval, repeat, to_check
from vitcli.answers.index import BEGIN, BEGIN_ORDERS, END, END_ORDERS
from vitcli.answers.published import NOT_YET, order_rows, read_published
from vitcli.config.command_line import parse_arguments
from vitcli.main import main
from vitcli.training.run import fit_and_test

pytestmark = LIGHTNING

PUBLISHED = """tiny:
  found: it helps
  orders:
    - {claim: GELU above none, higher: gelu, lower: plain}
    - {claim: none above GELU, higher: plain, lower: gelu}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one ablation file and the page for its table; its run is finished and has a report."""
    folder = tmp_path / "questions"
    (folder / "answers").mkdir(parents=True)
    write(folder / "tiny.yaml", PLAIN, ablation=ABLATION | {"source": "A paper"})
    (folder / "answers" / "published.yaml").write_text(PUBLISHED)
    (folder / "README.md").write_text(
        f"# Questions\n\n{BEGIN}\n{END}\n\nOrders.\n\n{BEGIN_ORDERS}\n{END_ORDERS}\n\nMore.\n"
    )
    directory = make_arms(tmp_path / "runs" / "tiny", ("plain", "gelu"), 3, epochs=1)
    record = json.loads((directory / "ablation.json").read_text())
    record["arms"]["gelu"]["label"] = "with GELU"
    (directory / "ablation.json").write_text(json.dumps(record))
    values = {"plain": (0.80, 0.81, 0.82), "gelu": (0.90, 0.92, 0.93)}
    made = {
        "finished_at": "2026-11-30T08:00:00+00:00",
        "provenance": {"commit": "0123456789abcdef", "device": "x86", "versions": {}},
    }
    for arm, scores in values.items():
        for seed, score in enumerate(scores):
            edit_result(directory, arm, seed, metrics={"test/acc1": score}, **made)
    assert main(["report", str(directory)]) == 0
    return folder


def keep(folder: Path) -> int:
    return main(["answers", "--folder", str(folder), "--keep", str(folder.parent / "runs" / "tiny")])


def table(folder: Path) -> list[str]:
    line = next(line for line in (folder / "README.md").read_text().splitlines() if line.startswith("| `tiny`"))
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_a_kept_answer_holds_all_trials_and_stands_in_the_table(folder, capsys):
    assert main(["answers", "--folder", str(folder), "--index"]) == 0
    assert table(folder)[4:] == [NOT_YET, "", "it helps"]
    assert keep(folder) == 0
    kept = json.loads((folder / "answers" / "tiny.json").read_text())
    assert sorted(kept["trials"]) == [f"{arm}/seed{seed}" for arm in ("gelu", "plain") for seed in range(3)]
    assert "better than `plain`: `gelu` +0.107" in table(folder)[4]
    assert table(folder)[5].startswith("p ")
    assert "3 against 3 seeds" in table(folder)[5]
    assert (folder / "README.md").read_text().endswith(f"{END_ORDERS}\n\nMore.\n")
    page = (folder / "answers" / "tiny.md").read_text()
    assert "gelu is better than plain by 0.10" in page
    assert "P(better) is the share of the shared seeds in which the arm beats the baseline" in page
    assert "**Arms.** gelu: with GELU." in page
    assert str(folder.parent) not in page + (folder / "answers" / "tiny.json").read_text()
    assert {path.suffix for path in (folder / "answers").glob("tiny_*")} == {".png"}
    capsys.readouterr()
    assert main(["answers", "--folder", str(folder), "tiny"]) == 0
    assert capsys.readouterr().out == page
    assert main(["plan", str(folder / "tiny.yaml"), "--quick"]) == 0
    output = capsys.readouterr().out.splitlines()[-1]
    assert (
        output == "Answered on 2026-11-30, stale since these arms changed: plain, gelu; vitcli answers tiny prints it."
    )


def test_an_answer_is_stale_once_its_arms_compute_something_else(folder, capsys):
    assert keep(folder) == 0
    assert "**stale**" in table(folder)[4], "the made-up records have identities of their own"
    path = folder / "answers" / "tiny.json"
    kept = json.loads(path.read_text())
    for arm, now in current_identities(folder / "tiny.yaml").items():
        kept["ablation"]["arms"][arm]["id"] = now
        for seed in range(3):
            kept["trials"][f"{arm}/seed{seed}"]["id"] = now
    path.write_text(json.dumps(kept))
    assert main(["answers", "--folder", str(folder), "--index"]) == 0
    assert "stale" not in table(folder)[4]
    write(folder / "tiny.yaml", PLAIN, ablation=ABLATION | {"arms": {"plain": {}, "gelu": {"model.optimizer.lr": 0.5}}})
    assert answers_in(folder)["tiny"].changed_arms() == ["gelu"]
    capsys.readouterr()
    assert main(["answers", "--folder", str(folder)]) == 0
    assert ", stale): better than `plain`" in capsys.readouterr().out


def test_the_orders_of_the_paper_stand_beside_ours(folder):
    assert [row[2:] for row in order_rows(read_published(folder), {})] == [("", NOT_YET), ("", NOT_YET)]
    assert keep(folder) == 0
    agrees, contradicts = order_rows(read_published(folder), answers_in(folder))
    assert agrees[:2] == ("`tiny`", "GELU above none")
    assert agrees[2].startswith("`gelu` - `plain` = +0.107 [+0.0")
    assert (agrees[3], contradicts[3]) == ("agrees", "contradicts")
    text = (folder / "README.md").read_text()
    assert f"| {' | '.join(agrees)} |\n| {' | '.join(contradicts)} |\n{END_ORDERS}" in text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("tiny: it helps", "tiny must hold found: TEXT"),
        ("tiny: {found: 3}", "tiny must hold found: TEXT"),
        ("tiny: {found: x, orders: [{claim: a}]}", "tiny must hold found: TEXT"),
        ("tinny: {found: x}", "has no file tinny.yaml; did you mean tiny?"),
        (
            "tiny: {found: x, orders: [{claim: a, higher: gellu, lower: plain}]}",
            "tiny has no arm 'gellu'; did you mean gelu?",
        ),
    ],
)
def test_a_fault_in_what_the_papers_found_is_named(folder, content, says, capsys):
    assert keep(folder) == 0
    (folder / "answers" / "published.yaml").write_text(content + "\n")
    capsys.readouterr()
    assert main(["answers", "--folder", str(folder), "--index"]) == 2
    assert says in capsys.readouterr().err


def test_an_unfinished_run_is_not_an_answer(folder, capsys):
    edit_result(folder.parent / "runs" / "tiny", "gelu", 2, status="failed", metrics={})
    assert keep(folder) == 2
    message = capsys.readouterr().err
    assert "gelu/seed2 has no usable result; an answer holds every trial, so finish the run first." in message
    assert not (folder / "answers" / "tiny.json").exists()


def test_an_arm_that_a_look_decided_is_complete_without_its_further_seeds(folder):
    directory = folder.parent / "runs" / "tiny"
    shutil.rmtree(directory / "gelu" / "seed2")
    record = json.loads((directory / "ablation.json").read_text())
    record["dropped"] = {"gelu": "decided after look 1 of 2: better"}
    (directory / "ablation.json").write_text(json.dumps(record))
    assert keep(folder) == 0
    (answer,) = answers_in(folder).values()
    assert sorted(answer.trials) == ["gelu/seed0", "gelu/seed1", "plain/seed0", "plain/seed1", "plain/seed2"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--folder", "nowhere"], "there is no folder 'nowhere'"),
        (["--kep", "x"], "answers has no option '--kep'; did you mean --keep?"),
        (["--keep"], "--keep has no value"),
        (["nothing"], "there is no answer 'nothing'"),
    ],
)
def test_bad_words_are_named(folder, words, says, capsys):
    where = [] if "--folder" in words else ["--folder", str(folder)]
    assert main(["answers", *where, *words]) == 2
    assert says in capsys.readouterr().err


def test_a_repeated_trial_is_equal_to_the_digit_on_the_same_machine(tmp_path):
    file = write(tmp_path / "tiny.yaml", PLAIN, ablation=ABLATION)
    plan = make_plan(parse_arguments(["--config", file]))
    trials = {
        f"plain/seed{seed}": fit_and_test(plan.trial_config("plain", seed), tmp_path / str(seed)) for seed in (0, 1)
    }
    answer = Answer("tiny", tmp_path, {}, trials)
    found = repeat(answer)
    assert (found.same_machine, found.holds, found.now) == (True, True, found.then)
    trials["plain/seed0"]["metrics"]["test/acc1"] += 0.001
    assert not repeat(answer).holds
    trials["plain/seed0"]["provenance"] = trials["plain/seed0"]["provenance"] | {"device": "another"}
    assert not repeat(answer).same_machine


def test_without_names_the_first_three_answers_with_different_baselines_are_checked(tmp_path):
    def answer(name: str, epochs: int) -> Answer:
        file = write(tmp_path / f"{name}.yaml", PLAIN, ablation=ABLATION, trainer=TRAINER | {"max_epochs": epochs})
        arms = {arm: {"id": now} for arm, now in current_identities(Path(file)).items()}
        return Answer(name, tmp_path, {"baseline": "plain", "arms": arms}, {})

    answers = {name: answer(name, epochs) for name, epochs in zip("abcdef", (1, 2, 2, 3, 4, 5), strict=True)}
    assert to_check(answers) == ["a", "b", "d"]
    answers["a"].record["arms"]["gelu"]["id"] = "of another recipe"
    assert to_check(answers) == ["b", "d", "e"]


def test_a_new_seed_lies_in_the_prediction_interval_in_99_of_100_experiments():
    values = np.random.default_rng(0).normal(0.8, 0.01, (4000, 9))
    inside = [low <= new <= high for *seen, new in values for low, high in [prediction_interval(seen)]]
    assert np.mean(inside) == pytest.approx(0.99, abs=0.006)
