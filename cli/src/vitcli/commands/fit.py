"""``vitcli fit``: run a file's ablation, or train once where the file has no ablation section."""

import shlex

from vitcli.config.command_line import parse_run, take_planning
from vitcli.imports import heavy_imports


def main(words: list[str]) -> int:
    """Train, write the results, and return the exit code.

    Args:
        words: Words after ``vitcli fit``.

    Raises:
        ConfigError: The input is bad, or a directory cannot be written.
    """
    rest = list(words)
    planning = take_planning(rest)
    arguments = parse_run("fit", rest)
    if arguments.ablation_sections() and "print_config" not in arguments.show:
        from vitcli.ablation.run import run_ablation

        return run_ablation(arguments, shlex.join(["vitcli", "fit", *words]), planning)
    with heavy_imports():
        from vitcli.training.plain_run import run

    return run("fit", arguments)
