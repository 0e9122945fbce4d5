"""What the papers found: a sentence for each question, and the orders of two arms that they claim, beside the kept answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitcli.answers.answer import Answer
from vitcli.config.errors import ConfigError, nearest
from vitcli.config.yaml_files import read_yaml
from vitcli.statistics.against_baseline import Difference, compare_with_baseline

FILE = "published.yaml"
NOT_YET = "not run yet"
VERDICTS = {"better": "agrees", "worse": "contradicts"}
"""Verdict of the comparison -> what it says of the paper's order; any other verdict leaves the order open."""


@dataclass(frozen=True)
class Order:
    """A claim of a paper that one arm is better than another.

    Args:
        claim: The order in words.
        higher: The arm that the paper finds better.
        lower: The arm that it finds worse.
    """

    claim: str
    higher: str
    lower: str


@dataclass(frozen=True)
class Published:
    """What a paper says about one question.

    Args:
        found: Its result in one sentence.
        orders: The orders of two arms that it claims.
    """

    found: str = ""
    orders: tuple[Order, ...] = ()


def read_published(folder: Path) -> dict[str, Published]:
    """Return name of the ablation -> what its paper says, from ``folder/answers/published.yaml``.

    Raises:
        ConfigError: An entry has another form, or names an ablation that the folder does not have.
    """
    path = folder / "answers" / FILE
    questions = sorted(one.stem for one in folder.glob("*.yaml"))
    found = {}
    for name, entry in read_yaml(str(path)).items():
        if name not in questions:
            raise ConfigError(f"{path}: {folder} has no file {name}.yaml{nearest(name, questions)}")
        try:
            found[name] = _published(entry)
        except TypeError:
            raise ConfigError(
                f"{path}: {name} must hold found: TEXT and may hold orders: [{{claim: TEXT, higher: ARM, lower: ARM}}]."
            ) from None
    return found


def _published(entry: Mapping[str, Any]) -> Published:
    entry = dict(entry) if isinstance(entry, Mapping) else {"found": None}
    orders = tuple(Order(**{name: str(value) for name, value in one.items()}) for one in entry.pop("orders", ()))
    published = Published(**entry, orders=orders)
    if not isinstance(published.found, str):
        raise TypeError
    return published


def order_rows(published: Mapping[str, Published], answers: Mapping[str, Answer]) -> list[tuple[str, ...]]:
    """Return a row for each claimed order: question, claim, difference in our answer with its interval, and verdict."""
    return [
        (f"`{name}`", order.claim, *_outcome(order, answers.get(name)))
        for name, one in published.items()
        for order in one.orders
    ]


def _outcome(order: Order, answer: Answer | None) -> tuple[str, str]:
    if answer is None:
        return "", NOT_YET
    found = compare(answer, order.higher, order.lower)
    if found.value is None or found.interval is None:
        return "", "open"
    low, high = found.interval
    numbers = f"`{order.higher}` - `{order.lower}` = {found.value:+.3f} [{low:+.3f}, {high:+.3f}]"
    return numbers, VERDICTS.get(found.verdict, "open")


def compare(answer: Answer, arm: str, other: str) -> Difference:
    """Compare two arms of an answer, neither of which need be its baseline, by the report's own test without a correction.

    Raises:
        ConfigError: The answer has no such arm.
    """
    for name in (arm, other):
        if name not in answer.record["arms"]:
            raise ConfigError(
                f"{answer.folder / 'answers' / FILE}: {answer.name} has no arm {name!r}{nearest(name, answer.record['arms'])}"
            )
    metric = answer.record["metric"]
    values: dict[str, dict[int, float]] = {arm: {}, other: {}}
    for trial, result in answer.trials.items():
        of, seed = trial.rsplit("/seed", 1)
        if of in values:
            values[of][int(seed)] = float(result["metrics"][metric["name"]])
    pairing = answer.record["pairing"]
    return compare_with_baseline(values[other], {arm: values[arm]}, metric["direction"], pairing).differences[arm]
