"""``vitcli speed FILE``: how fast the arms of an ablation train and infer on this machine, without training them."""

from rich.console import Console

from vitcli.ablation.arms_speed import measure_file, speed_conditions, speed_table
from vitcli.config.command_line import parse_ablation_file
from vitcli.records.speed import SPEED


def main(words: list[str]) -> int:
    """Measure the arms, write speed.json into the ablation's directory, print it, and return exit code 0.

    Args:
        words: Words after ``vitcli speed``.

    Raises:
        ConfigError: The input is bad, or an arm cannot be measured.
    """
    arguments = parse_ablation_file("speed", words)
    console = Console()
    with console.status("planning and measuring ..."):
        directory, speed = measure_file(arguments)
    console.print(speed_table(speed))
    console.print(f"{speed_conditions(speed)} Written to {directory / SPEED}", highlight=False, soft_wrap=True)
    return 0
