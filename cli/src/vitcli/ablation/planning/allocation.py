"""What the plan says about the numbers of seeds: their price, whether their error is known, and a better division."""

from vitcli.ablation.planning.spec import AblationSpec, Seeds
from vitcli.statistics.looks import declared_looks
from vitcli.statistics.planning import NOISY_BASELINE, Allocation, allocations, interval_width, warning

CLEARLY = 0.9
"""A suggestion is made if its intervals are at most this part of the present ones."""


def seed_notes(spec: AblationSpec) -> list[str]:
    """Return the sentences about an ablation's seeds; none if every arm has equally many, known and well divided."""
    if len(spec.arms) == 1:
        return []
    return [*_price(spec), *_looks(spec), *_warnings(spec), *_suggestion(spec)]


def _price(spec: AblationSpec) -> list[str]:
    more = spec.seeds.baseline - spec.seeds.arms
    if not more:
        return []
    return [f"Seeds: {_words(spec.seeds)}, {more} trials more than with {spec.seeds.arms} of each."]


def _looks(spec: AblationSpec) -> list[str]:
    if not spec.looks:
        return []
    looks = declared_looks(spec.looks, spec.seeds.baseline)
    first, last = (Allocation(look.baseline, look.arms).trials(len(spec.arms) - 1) for look in (looks[0], looks[-1]))
    return [
        f"Looks: at {', '.join(map(str, spec.looks))} seeds of an arm; {first} trials of all arms if the first look decides "
        f"every arm, {last} at most."
    ]


def _warnings(spec: AblationSpec) -> list[str]:
    """Return why the error of the comparison is not known, at the first look where it is not."""
    looks = declared_looks(spec.looks or [spec.seeds.arms], spec.seeds.baseline)
    for number, look in enumerate(looks, 1):
        why = warning(Allocation(look.baseline, look.arms), len(spec.arms) - 1)
        if why is not None:
            return [f"Warning: look {number}: {why}" if spec.looks else f"Warning: {why}"]
    return []


def _suggestion(spec: AblationSpec) -> list[str]:
    """Return another division of as many trials, if one is clearly better; pairs and looks leave no choice of it."""
    if spec.pairing == "seeds" or spec.looks or spec.seeds.arms < 2:
        return []
    comparisons, now = len(spec.arms) - 1, Allocation(spec.seeds.baseline, spec.seeds.arms)
    best = next(iter(allocations(comparisons, now.trials(comparisons))), now)
    part = _width(best, comparisons) / _width(now, comparisons)
    if part > CLEARLY:
        return []
    return [
        f"Suggestion: with seeds: {Seeds(best.baseline, best.arms)} ({best.trials(comparisons)} trials of all arms, now "
        f"{now.trials(comparisons)}), intervals are {100 * (1 - part):.0f} % narrower if the baseline varies "
        f"{NOISY_BASELINE:g} times as much as the other arms."
    ]


def _width(allocation: Allocation, comparisons: int) -> float:
    return interval_width(allocation, comparisons, NOISY_BASELINE)


def _words(seeds: Seeds) -> str:
    return f"{seeds.baseline} of the baseline and {seeds.arms} of every other arm"
