"""Print what a query sees in the terminal: coloured squares, or plain characters where there is no colour."""

from rich.console import Console
from rich.text import Text

from vitcli.show.levels import LEVELS, QUERY, levels
from vitcli.show.measure import Sight

SEES_ITSELF, SEES_NOT_ITSELF = "@", "o"


def print_sight(sight: Sight, title: str, console: Console) -> None:
    """Print a title, the map, the legend and how many tokens are seen."""
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    level = levels(sight)
    for row in range(level.shape[0]):
        console.print(_line(sight, level[row].tolist(), row), highlight=False, soft_wrap=True)
    for index in sorted(set(level.flatten().tolist()), reverse=True):
        console.print(_cell(index, LEVELS[index].character).append(f" {LEVELS[index].name}"), highlight=False)
    console.print(_frame(sight).append(f" the query, row {sight.query[0]}, column {sight.query[1]}"), highlight=False)
    console.print(summary(sight), markup=False, highlight=False, soft_wrap=True)


def summary(sight: Sight) -> str:
    """Return a sentence that says how many tokens are seen."""
    total = sight.strength.size
    if not sight.depends_on_content:
        return f"It sees {int(sight.seen.sum())} of {total} tokens."
    first, images = int((sight.strength > 0).sum()), len(sight.strengths)
    return f"It sees {first} of {total} tokens in this image; over {images} images it sees {int(sight.seen.sum())}."


def _line(sight: Sight, row: list[int], number: int) -> Text:
    line = Text()
    for column, index in enumerate(row):
        here = (number, column) == sight.query
        line.append_text(_frame(sight) if here else _cell(index, LEVELS[index].character))
    return line


def _frame(sight: Sight) -> Text:
    itself = sight.strength[sight.query] > 0
    return Text(f"{SEES_ITSELF if itself else SEES_NOT_ITSELF} ", style=f"bold white on {QUERY}")


def _cell(index: int, character: str) -> Text:
    dark = index >= len(LEVELS) - 2
    return Text(f"{character} ", style=f"{'white' if dark else 'grey39'} on {LEVELS[index].colour}")
