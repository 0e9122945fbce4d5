"""``vitcli plan FILE``: what an ablation would run, without training."""

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
    show_plan(parse_ablation_file("plan", rest), form, planning)
    return 0
