"""Warnings: the trials behind the numbers were made with different code, packages, data or devices."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from vitcli.records.ablation import Ablation
from vitcli.records.conditions import Provenance
from vitcli.records.trial import Trial

NOT_RECORDED = "not recorded"
_NAMED = 12


def aspects(provenance: Provenance) -> dict[str, str]:
    """Return what made a trial, by name: commit, uncommitted changes, data, device, and the version of each package."""
    return {
        "commit": short(provenance.commit),
        "uncommitted changes": short(provenance.dirty) if provenance.dirty else "none",
        "data": "; ".join(filter(None, (short(provenance.data), provenance.data_notes))),
        "device": provenance.device or NOT_RECORDED,
        **provenance.versions,
    }


def short(fingerprint: str | None) -> str:
    """Return the first ten digits of a hash, which are enough to identify it."""
    return fingerprint[:10] if fingerprint else NOT_RECORDED


def mixed_conditions(ablation: Ablation) -> tuple[str, ...]:
    """Return one sentence for each way in which the used trials split into groups.

    Aspects that split the trials in the same way share a sentence. A package of the user's own that only some arms use splits
    nothing: it is compared among the arms that use it.
    """
    used = [trial for arm in ablation.arms for trial in arm.done]
    recorded = {trial.name: aspects(trial.provenance) for trial in used if trial.provenance}
    if not recorded:
        return ()
    sentences, own = [], {package for trial in used if trial.provenance for package in trial.provenance.own}
    if without := [trial for trial in used if not trial.provenance]:
        sentences.append(f"Code, data and device are {NOT_RECORDED} for {name_trials(without, used)}.")
    by_split: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for aspect in dict.fromkeys(aspect for found in recorded.values() for aspect in found):
        values = [found.get(aspect, "absent") for found in recorded.values()]
        numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
        if len(set(values) - ({"absent"} if aspect in own else set())) > 1:
            by_split[tuple(numbers[value] for value in values)].append(aspect)
    trials = [trial for trial in used if trial.provenance]
    sentences += [_sentence(split, names, trials, recorded) for split, names in by_split.items()]
    return tuple(sentences)


def name_trials(some: Sequence[Trial], of: Sequence[Trial]) -> str:
    """Return ``relu6 (all), h_swish (seeds 0, 3)``; a long list is cut."""
    all_of, found = _by_arm(of), []
    for arm, seeds in _by_arm(some).items():
        shown = f"seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}"
        found.append(f"{arm} ({'all' if seeds == all_of[arm] else shown})")
    more = len(found) - _NAMED
    return ", ".join(found[:_NAMED]) + (f" and {more} more arms" if more > 0 else "")


def _sentence(
    split: tuple[int, ...], names: Sequence[str], trials: Sequence[Trial], recorded: Mapping[str, Mapping[str, str]]
) -> str:
    groups: dict[int, list[Trial]] = defaultdict(list)
    for number, trial in zip(split, trials, strict=True):
        groups[number].append(trial)
    parts = []
    for group in sorted(groups.values(), key=len, reverse=True):
        values = ", ".join(f"{name} {recorded[group[0].name].get(name, 'absent')}" for name in names)
        parts.append(f"{values} in {len(group)} of {len(trials)}: {name_trials(group, trials)}")
    return f"The trials used differ in {join_words(names)} ({'; '.join(parts)})."


def join_words(words: Sequence[str]) -> str:
    """Return ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _by_arm(trials: Iterable[Trial]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for trial in trials:
        found[trial.arm].append(trial.seed)
    return found
