"""The style of an arm in every figure: colour, marker and line, so that colour is never the only difference."""

from dataclasses import dataclass

# Okabe and Ito, Color Universal Design; without its yellow, which is too pale for lines on white.
_COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_LINES = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)), ":")


@dataclass(frozen=True)
class ArmStyle:
    """What matplotlib calls color, marker and linestyle."""

    colour: str
    marker: str
    line: str | tuple[int, tuple[int, ...]]


def arm_style(index: int) -> ArmStyle:
    """Return the style of the ``index``-th arm; the three cycles have different lengths, so that 315 arms differ."""
    return ArmStyle(_COLOURS[index % len(_COLOURS)], _MARKERS[index % len(_MARKERS)], _LINES[index % len(_LINES)])
