"""``vitcli cost --config FILE``: parameters and multiply-adds of a whole network, without weights or data."""

import json

from vitcli.config.command_line import Arguments, parse_run, take_format
from vitcli.config.errors import ConfigError

FORMATS = ("text", "json")


def main(words: list[str]) -> int:
    """Print the cost of the file's network and return exit code 0.

    Args:
        words: Words after ``vitcli cost``.

    Raises:
        ConfigError: The input is bad, or the network cannot be built or run on an image of this size.
    """
    rest = list(words)
    form = take_format(rest, FORMATS)
    arguments = parse_run("cost", rest)
    if arguments.ablation_sections():
        raise ConfigError(f"{arguments.place}: the file has an ablation; vitcli plan prints the costs of its arms.")
    from vitcli.config.lightning_cli import base_config, resolve
    from vitcli.measure.cost import CostCounter

    size = _size(arguments)
    # The cost does not depend on the machine that the file was written for.
    config = resolve({**base_config(arguments), "trainer": {"accelerator": "cpu"}}, arguments.place)
    cost = CostCounter(size).checked(config, arguments.place)
    if form == "json":
        print(json.dumps(cost | ({} if size is None else {"height": size[0], "width": size[1]})))
        return 0
    image = "one image of the data's size" if size is None else f"an image of {size[0]} x {size[1]} pixels"
    print(f"parameters {cost['parameters']:>19,}\nmultiply-adds {cost['macs']:>16,} for {image}")
    return 0


def _size(arguments: Arguments) -> tuple[int, int] | None:
    """Return the height and width that the ``cost`` sections state; None without such a section."""
    from vitcli.config.overlay import lay_over
    from vitmodels.skeletons.entries import Entry

    sides = ("height", "width")
    entries = {"cost": Entry(dict, {}, group={side: Entry(int | None) for side in sides})}
    stated: dict[str, dict[str, int]] = {}
    for place, section in arguments.sections("cost"):
        lay_over(stated, entries, {"cost": section}, place)
    if not stated:
        return None
    height, width = (stated["cost"].get(side) or 0 for side in sides)
    if min(height, width) < 1:
        raise ConfigError(f"{arguments.place}: cost needs height and width in pixels, for example cost.height=512.")
    return height, width
