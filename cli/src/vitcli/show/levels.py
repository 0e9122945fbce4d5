"""Classes of strength, and what each class looks like in a picture and in the terminal."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitcli.show.measure import Sight

QUERY = "#D55E00"
"""The query's frame: Okabe and Ito's vermilion, far from every blue for every kind of colour vision."""


@dataclass(frozen=True)
class Level:
    """A class of tokens: its name, colour and character."""

    name: str
    colour: str
    character: str


# One hue from light to dark: the classes differ in grey and with any kind of colour vision.
LEVELS = (
    Level("not seen", "#F1F1F1", "."),
    Level("seen in another image only", "#F1F1F1", ":"),
    Level("smaller, not zero", "#C6DBEF", "-"),
    Level("at least 1/64", "#6BAED6", "+"),
    Level("at least 1/16", "#2171B5", "x"),
    Level("at least 1/4 of the largest", "#08306B", "#"),
)
ELSEWHERE, FIRST_SEEN = 1, 2
"""Indices of two levels: tokens that are seen in another image only, and the weakest tokens that are seen in this one."""

DOT = "#6BAED6"
"""The colour of the dot on tokens that are seen in another image only."""

BOUNDS = (1 / 64, 1 / 16, 1 / 4)


def levels(sight: Sight) -> NDArray[np.int64]:
    """Return the index in ``LEVELS`` of each token (h, w)."""
    strength = sight.strength
    level = np.where(strength > 0, FIRST_SEEN + np.digitize(strength, BOUNDS), 0)
    return np.where(sight.elsewhere, ELSEWHERE, level)
