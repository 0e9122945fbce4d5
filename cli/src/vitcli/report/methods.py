"""How the ablation was carried out: code, data and devices, budgets, interrupted and stopped trials, and measured speeds."""

from collections import defaultdict
from collections.abc import Iterable

from vitcli.records.ablation import Ablation
from vitcli.records.speed import SPEED
from vitcli.records.trial import Trial
from vitcli.report.blocks import Code
from vitcli.report.early_ends import unequal_budget
from vitcli.report.mixed_conditions import NOT_RECORDED, aspects, join_words

BUSY = 0.25
"""From this many processor cores that other processes keep busy, the report calls a measurement of speed disturbed."""

_EQUAL = {"epochs": "epochs", "training_time": "training time", "macs": "multiply-adds spent in training"}


def facts(ablation: Ablation) -> dict[str, str | Code]:
    """Return what was done, by name; the text of a fact that is not known is empty."""
    done = [trial for arm in ablation.arms for trial in arm.done]
    threads = sorted({trial.threads for trial in done if trial.threads})
    return {
        "command": Code(ablation.command) if ablation.command else "",
        "seeds": _seeds(ablation),
        "pairing": f"{ablation.pairing} (how arms are compared)",
        "margin": "" if ablation.margin is None else f"{ablation.margin:g} in {ablation.metric.name}",
        "declared looks": ", ".join(map(str, ablation.looks)) + " seeds of an arm" if ablation.looks else "",
        "reports": _reports(ablation),
        "budget": _budget(ablation),
        "epochs": ", ".join(map(str, sorted({trial.epochs for trial in done}))),
        "threads per trial": ", ".join(map(str, threads)),
        "machine": _pairs(ablation.machine.items()),
        "versions": _pairs(ablation.versions.items()),
        **_provenance(done),
        "continued trials": _continued(ablation),
        "config ids": _pairs((arm.name, arm.id) for arm in ablation.arms),
    }


def stopped_arms(ablation: Ablation) -> str:
    """Return which arms got no further seeds and why; empty if there are none."""
    stopped = [f"{arm}: {why.rstrip('.')}." for arm, why in ablation.dropped.items()]
    if not stopped:
        return ""
    account = (
        "These arms needed no further seeds after a declared look. Their intervals and p-values account for the looks."
        if ablation.looks
        else "Racing stopped these arms before all their seeds had run. Their intervals, p-values and P(better) do not "
        "account for this selection."
    )
    return f"{account} {' '.join(stopped)}"


def lost_seeds(ablation: Ablation) -> str:
    """Return which arms have trials that failed or gave no finite number, and what that does to their means."""
    lost = {arm.name: sum(trial.status in ("failed", "not finite") for trial in arm.trials) for arm in ablation.arms}
    if not any(lost.values()):
        return ""
    counts = join_words(
        [f"{arm} in {number} of {len(ablation.seeds_of(arm))} seeds" for arm, number in lost.items() if number]
    )
    return f"Failed or not finite: {counts}. They are excluded; if instability caused the failures, the arm's mean is optimistic."


def speed_conditions(ablation: Ablation) -> str:
    """Return how the speeds were measured, and which arms have none; empty if nothing was measured."""
    speed = ablation.speed
    if speed is None:
        return ""
    changed = [arm.name for arm in ablation.arms if arm.name in speed.arms and speed.arms[arm.name].id != arm.id]
    absent = [arm.name for arm in ablation.arms if arm.name not in speed.arms]
    sentences = [
        f"On {speed.device} with {_count(speed.threads, 'thread')} in {speed.precision}, in {_count(speed.rounds, 'round')} "
        f"that each measured all arms{f' ({speed.measured_at})' if speed.measured_at else ''}. Latency is for a single image, "
        f"images/s are for batches of {speed.batch_size}, and peak memory is that of a training step."
    ]
    if busy := busy_machine(ablation):
        sentences.append(busy)
    if changed:
        sentences.append(f"{SPEED} holds the speed of another config for {join_words(changed)}; it is left out.")
    if absent:
        sentences.append(f"No speed was measured for {join_words(absent)}.")
    return " ".join(sentences)


def busy_machine(ablation: Ablation) -> str:
    """Return what other work on the machine does to the measured speeds; empty if there was none, or it is not known."""
    load = ablation.speed.other_load if ablation.speed else None
    if load is None or load < BUSY:
        return ""
    return (
        f"Other processes kept {load:.1f} processor cores busy meanwhile, so that the speeds are too low and latencies too long; "
        "vitcli speed measures them again."
    )


def _seeds(ablation: Ablation) -> str:
    arms, baseline = (", ".join(map(str, seeds)) for seeds in (ablation.seeds, ablation.seeds_of(ablation.baseline)))
    if arms == baseline:
        return f"{arms} (the same for every arm)"
    return f"{baseline} of {ablation.baseline}; {arms} of every other arm"


def _reports(ablation: Ablation) -> str:
    return "; ".join(f"{report.at} with {_count(sum(report.seeds.values()), 'trial')}" for report in ablation.reports)


def _budget(ablation: Ablation) -> str:
    if unequal := unequal_budget(ablation):
        return unequal
    if ablation.budget is None:
        return ""
    by_epochs: dict[int, list[str]] = defaultdict(list)
    for arm, epochs in ablation.budget.epochs.items():
        by_epochs[epochs].append(arm)
    if len(by_epochs) == 1:
        each = f" ({_count(next(iter(by_epochs)), 'epoch')} for every arm)"
    else:
        each = "; ".join(f"{_count(epochs, 'epoch')} for {join_words(arms)}" for epochs, arms in by_epochs.items())
        each = f": {each}" if each else ""
    return f"equal {_EQUAL.get(ablation.budget.equal, ablation.budget.equal)} in all arms{each}"


def _provenance(done: list[Trial]) -> dict[str, str]:
    recorded = [aspects(trial.provenance) for trial in done if trial.provenance]
    if not recorded:
        return {"code and data of each trial": f"{NOT_RECORDED}, so a mixture of versions would go unnoticed"}
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for one in recorded:
        for aspect, value in one.items():
            found[aspect][value] = None
    texts = {aspect: " / ".join(values) for aspect, values in found.items()}
    own = ("commit", "uncommitted changes", "data", "device")
    packages = _pairs((aspect, text) for aspect, text in texts.items() if aspect not in own)
    return {**{f"trials' {aspect}": texts[aspect] for aspect in own}, "trials' versions": packages}


def _continued(ablation: Ablation) -> str:
    resumed = [trial for arm in ablation.arms for trial in arm.trials if trial.resumed]
    return "; ".join(
        f"{trial.name} after {'epoch' if len(trial.resumed) == 1 else 'epochs'} {join_words([*map(str, trial.resumed)])}"
        for trial in resumed
    )


def _pairs(items: Iterable[tuple[str, object]]) -> str:
    return ", ".join(f"{key} {item}" for key, item in items)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
