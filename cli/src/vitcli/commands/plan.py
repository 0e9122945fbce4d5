"""``vitcli plan FILE``: what an ablation would run, without training."""

from pathlib import Path

from vitcli.ablation.show_plan import FORMS, show_plan
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
    show_plan(arguments, form, planning)
    kept = Path(arguments.files[0]).parent / "answers" / f"{Path(arguments.files[0]).stem}.json"
    if form == FORMS[0] and kept.is_file():
        from vitcli.answers.answer import answered

        print(answered(kept))
    return 0
