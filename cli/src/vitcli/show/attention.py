"""Draw what an op sees, or what all of vitcore's ops see: measured, printed and written as pictures."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from vitcli.config.errors import ConfigError
from vitcli.config.origin import Origin
from vitcli.show.build import build_op, error_sentence, find_op
from vitcli.show.gallery import FAMILIES, Example, examples
from vitcli.show.measure import Sight, measure


@dataclass(frozen=True)
class TokenMap:
    """The map that is shown to an op.

    Args:
        height, width: Tokens per side.
        channels: Channels of each token; the op's width.
        query: Row and column of the token whose view is drawn.
    """

    height: int
    width: int
    channels: int
    query: tuple[int, int]


@dataclass(frozen=True)
class OpToShow:
    """An op and the arguments that the user set."""

    op: type[nn.Module]
    arguments: dict[str, Any] = field(default_factory=dict)

    def sight(self, tokens: TokenMap) -> Sight:
        """Measure what the op sees.

        Raises:
            ConfigError: The op refuses its arguments, or the map.
        """
        built = build_op(self.op, self.arguments, tokens.channels)
        try:
            return measure(built, tokens.height, tokens.width, tokens.channels, tokens.query)
        except (TypeError, ValueError, RuntimeError) as error:
            about = f"{self.op.__name__} cannot be applied to {tokens.height} x {tokens.width} tokens"
            raise ConfigError(f"command line: {error_sentence(error, about)}") from error


def show_op(shown: OpToShow, tokens: TokenMap, picture: Path | None) -> None:
    """Print what an op sees, and write it as a picture if a path is given."""
    sight = shown.sight(tokens)
    from vitcli.console import Output
    from vitcli.show.terminal import print_sight

    name = shown.op.__name__
    details = Example(name, shown.arguments).details
    print_sight(sight, f"{name}({', '.join(details)}) on {tokens.height} x {tokens.width} tokens", Output())
    if picture is not None:
        from vitcli.show.draw import draw_one

        draw_one(sight, name, details, picture)


def draw_overview(tokens: TokenMap, picture: Path) -> None:
    """Draw vitcore's ops side by side in one picture."""
    from vitcli.show.figure import draw_families

    draw_families(_sights([example for family in FAMILIES.values() for example in family], tokens), picture)


def draw_each(tokens: TokenMap, folder: Path) -> None:
    """Draw each of vitcore's ops in a picture of its own."""
    from vitcli.show.draw import draw_one

    sights = _sights(examples(), tokens)
    folder.mkdir(parents=True, exist_ok=True)
    for example, sight in sights.items():
        draw_one(sight, example.op, example.details, folder / example.file)


def _sights(examples: list[Example], tokens: TokenMap) -> dict[Example, Sight]:
    here = Origin("command line", "OP")
    return {example: OpToShow(find_op(example.op, here), example.arguments).sight(tokens) for example in examples}
