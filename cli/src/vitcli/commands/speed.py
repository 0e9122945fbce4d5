"""``vitcli speed FILE``: how fast the arms of an ablation train and infer on this machine, without training them."""

from vitcli.ablation.arms_speed import measure_file, speed_conditions, speed_table
from vitcli.config.command_line import parse_ablation_file
from vitcli.console import Output
from vitcli.records.speed import SPEED


def main(words: list[str]) -> int:
    """Measure the arms, write speed.json, print it, and return exit code 0, or 1 if an arm could not be measured.

    Args:
        words: Words after ``vitcli speed``.

    Raises:
        ConfigError: The input is bad, or no arm can be measured.
    """
    arguments = parse_ablation_file("speed", words)
    console = Output()
    with console.status("planning and measuring ..."):
        directory, speed, problem = measure_file(arguments)
    console.print(speed_table(speed))
    console.print(f"{speed_conditions(speed)} Written to {directory / SPEED}", highlight=False, soft_wrap=True)
    if problem:
        console.print(f"{problem}.", soft_wrap=True)
    return 1 if problem else 0
