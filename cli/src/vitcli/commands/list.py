"""``vitcli list``: the models with their costs, counted here, beside what was published."""

import fnmatch
import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from vitcli.config.errors import ConfigError, nearest
from vitcli.config.words import take_format

USAGE = "list takes a pattern and a form: vitcli list 'pvt*' [--format table | markdown | json]."
FORMS = ("table", "markdown", "json")
HEADER = ("model", "size", "parameters (M)", "GMACs", "top-1 (%)", "published (M, GMACs)", "paper", "source")


PREFACE = (
    "Made by `vitcli list --format markdown`; a test compares. Parameters and multiply-adds are counted here, for one image",
    "of the given size; the published figures are beside them, with where they are from and why ours differ. MACs are those",
    "of matrix products and convolutions, by the closed forms that the ops state.",
)


@dataclass(frozen=True)
class Listed:
    """One line of the list; None for what was not published.

    Attributes:
        model: Its name.
        size: Side of the image in pixels.
        parameters: Parameters that are trained.
        macs: Multiply-adds of matrix products and convolutions for one image, by the closed forms of its ops.
        published: Published figures, see ``vitmodels.published.Published``.
        paper: Where it was published.
    """

    model: str
    size: int
    parameters: int
    macs: int
    published: dict[str, Any] | None
    paper: str | None

    def cells(self) -> tuple[str, ...]:
        """The line as text."""
        theirs = self.published or {}
        printed = (f"{theirs[key]:g}" if theirs.get(key) is not None else "" for key in ("parameters", "gmacs"))
        source = "; ".join(filter(None, (theirs.get("source"), theirs.get("remark"))))
        top1 = theirs.get("top1")
        return (
            self.model,
            str(self.size),
            f"{self.parameters / 1e6:.3f}",
            f"{self.macs / 1e9:.3f}",
            "" if top1 is None else f"{top1:.1f}",
            ", ".join(filter(None, printed)),
            self.paper or "",
            source,
        )


def main(words: list[str]) -> int:
    """Print the models whose names match a pattern, all by default.

    Raises:
        ConfigError: A word is no pattern, the form is unknown, or no name matches.
    """
    patterns = list(words)
    form = take_format(patterns, FORMS)
    if len(patterns) > 1 or any(word.startswith("-") for word in patterns):
        raise ConfigError(f"command line: {USAGE}")
    import vitmodels

    pattern = patterns[0] if patterns else "*"
    names = [name for name in vitmodels.MODELS if fnmatch.fnmatchcase(name, pattern)]
    if not names:
        raise ConfigError(f"command line: no model is called {pattern!r}{nearest(pattern, vitmodels.MODELS)}")
    if form == "json":
        print(json.dumps([asdict(one) for one in listed(names)], indent=2))
        return 0
    rows = (one.cells() for one in listed(names))
    if form == "markdown":
        print("\n".join(markdown(rows)))
        return 0
    widths = (max(map(len, names)), 4, 14, 7, 9, 20)
    for row in itertools.chain([HEADER], rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row[:6], widths, strict=True)), row[6], sep="  ")
    return 0


def listed(names: list[str]) -> Iterator[Listed]:
    """Build each model without memory for its weights and count it."""
    import timm
    import torch

    from vitmodels.published import PAPERS, read_published

    table = read_published()
    for name in names:
        with torch.device("meta"):
            model = timm.create_model(name)
        size = model.default_cfg["input_size"][1]
        parameters = sum(parameter.numel() for parameter in model.parameters())
        theirs = table.get(name)
        paper = None if theirs is None else f"{theirs.paper}: {PAPERS[theirs.paper]}"
        yield Listed(name, size, parameters, model.macs(size, size), None if theirs is None else asdict(theirs), paper)


def markdown(rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    """Return the page docs/models.md line by line."""
    yield "# Models"
    yield ""
    yield from PREFACE
    yield ""
    yield "| " + " | ".join(HEADER) + " |"
    yield "|" + "---|" * len(HEADER)
    for row in rows:
        yield "| " + " | ".join((f"`{row[0]}`", *row[1:])) + " |"
