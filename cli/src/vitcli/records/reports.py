"""The reports of an ablation, which ablation.json lists: each is a look at its results."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitcli.records.json_files import RecordError, get, get_count, get_counts, get_optional, read_json


@dataclass(frozen=True)
class Report:
    """One report of an ablation, which is a look at its results.

    Args:
        at: Date and time.
        seeds: Arm -> number of its trials that were done.
        looks: The looks that were declared at that time; others that were declared later came after this one.
    """

    at: str
    seeds: Mapping[str, int]
    looks: tuple[int, ...] = ()


def reports_in(content: dict[str, Any], path: Path) -> tuple[Report, ...]:
    """Return the reports that the content of ablation.json lists, oldest first.

    Raises:
        RecordError: An entry is not a report.
    """
    return tuple(_report(one, path) for one in get_optional(content, "reports", list, path) or ())


def read_reports(path: Path) -> tuple[Report, ...]:
    """Return the reports that ablation.json lists; none if the file is missing or cannot be read."""
    try:
        return reports_in(read_json(path) or {}, path)
    except RecordError:
        return ()


def with_report(reports: tuple[Report, ...], report: Report) -> tuple[Report, ...]:
    """Return the reports and the new one, which is left out if it has the same trials as the last one, or none."""
    before = _counted(reports[-1]) if reports else {}
    return reports if _counted(report) == before else (*reports, report)


def read_looks(record: dict[str, Any], path: Path) -> tuple[int, ...]:
    """Return the declared looks: increasing numbers of seeds from 2 upward, or none.

    Raises:
        RecordError: They are something else.
    """
    looks = get_counts(record, "looks", path)
    if list(looks) != sorted(set(looks)) or any(look < 2 for look in looks):
        raise RecordError(f"{path}: looks must be increasing numbers of seeds from 2 upward, got {list(looks)}.")
    return looks


def _counted(report: Report) -> dict[str, int]:
    return {arm: trials for arm, trials in report.seeds.items() if trials}


def _report(record: Any, path: Path) -> Report:
    if not isinstance(record, dict):
        raise RecordError(f"{path}: a report must be an object, got {record!r}.")
    seeds = get(record, "seeds", dict, path)
    counts = {arm: get_count(seeds, arm, path) or 0 for arm in seeds}
    return Report(get(record, "at", str, path), counts, read_looks(record, path))
