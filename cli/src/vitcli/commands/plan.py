"""``vitcli plan FILE``: what an ablation would run, without training."""

from pathlib import Path

from vitcli.ablation.show_plan import FORMS, show_plan
from vitcli.answers.answer import read_answer
from vitcli.config.command_line import parse_ablation_file, take_format, take_planning


def main(words: list[str]) -> int:
    """Print the plan as a table or as JSON and return exit code 0; nothing is written.

    Args:
        words: Words after ``vitcli plan``.

    Raises:
        ConfigError: The input is bad.
    """
    rest = list(words)
    planning = take_planning(rest)
    form = take_format(rest, FORMS)
    arguments = parse_ablation_file("plan", rest)
    planned = show_plan(arguments, form, planning)
    kept = Path(arguments.files[0]).parent / "answers" / f"{Path(arguments.files[0]).stem}.json"
    if form == FORMS[0] and kept.is_file() and len(arguments.files) == 1 and not arguments.overrides:
        print(_answered(kept, planned))
    return 0


def _answered(kept: Path, planned: dict[str, str]) -> str:
    """Return when the question was answered, and which arms have changed since then."""
    answer = read_answer(kept)
    changed = answer.arms_that_differ(planned)
    stale = f", stale since these arms changed: {', '.join(changed)}" if changed else ""
    return f"Answered on {answer.date}{stale}; vitcli answers {answer.name} prints it."
