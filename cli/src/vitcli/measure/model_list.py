"""The models with their parameters and multiply-adds as counted here, beside the published figures.

Building all models takes a minute, so ``make pages`` writes the counts to a file, which a test compares with the code.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

COUNTED = Path(__file__).with_name("model_list.json")
"""All models as ``count_models`` counted them, one a line."""

HEADER = ("model", "size", "parameters (M)", "GMACs", "top-1 (%)", "published (M, GMACs)", "paper", "source")
WIDTHS = (28, 4, 14, 7, 9, 20)
"""Characters of the first columns of the table in the terminal."""

PREFACE = (
    "`vitcli list --format markdown` writes this page. Parameters and multiply-adds are counted for one image of the given size;",
    "beside them are the published figures with their source, and why ours differ. 'Not checked' marks figures that were quoted",
    "without their source at hand. MACs are those of matrix products and convolutions, by the closed forms that the ops state.",
)


@dataclass(frozen=True)
class ListedModel:
    """One model; fields about its publication are None if it was not published.

    Attributes:
        model: Name of the model.
        size: Side of the image in pixels.
        parameters: Number of trained parameters.
        macs: Multiply-adds of matrix products and convolutions for one image, by the closed forms of its ops.
        published: Published figures, see ``vitmodels.published.Published``.
        paper: The paper that published it.
    """

    model: str
    size: int
    parameters: int
    macs: int
    published: dict[str, Any] | None
    paper: str | None

    def cells(self) -> tuple[str, ...]:
        """Return the table's cells for this model, in the order of ``HEADER``."""
        theirs = self.published or {}
        figures = (f"{theirs[key]:g}" if theirs.get(key) is not None else "" for key in ("parameters", "gmacs"))
        source = "; ".join(filter(None, (theirs.get("source"), theirs.get("remark"))))
        top1 = theirs.get("top1")
        return (
            self.model,
            str(self.size),
            f"{self.parameters / 1e6:.3f}",
            f"{self.macs / 1e9:.3f}",
            "" if top1 is None else f"{top1:.1f}",
            ", ".join(filter(None, figures)),
            self.paper or "",
            source,
        )


def read_models() -> list[ListedModel]:
    """Return all models as they were counted last; this imports nothing heavy."""
    return [ListedModel(**one) for one in json.loads(COUNTED.read_text(encoding="utf-8"))]


def write_models(models: Iterable[ListedModel]) -> None:
    """Write the file that ``read_models`` reads."""
    lines = ",\n".join(json.dumps(asdict(model)) for model in models)
    COUNTED.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def count_models(names: Iterable[str]) -> Iterator[ListedModel]:
    """Build each model without memory for its weights and count its parameters and multiply-adds."""
    import timm
    import torch

    import vitmodels  # noqa: F401 (registers the models with timm)
    from vitmodels.published import PAPERS, read_published

    table = read_published()
    for name in names:
        with torch.device("meta"):
            model = timm.create_model(name)
        size = model.default_cfg["input_size"][1]
        parameters = sum(parameter.numel() for parameter in model.parameters())
        theirs = table.get(name)
        paper = None if theirs is None else f"{theirs.paper}: {PAPERS[theirs.paper]}"
        published = None if theirs is None else asdict(theirs)
        yield ListedModel(name, size, parameters, model.macs(size, size), published, paper)


def table_lines(models: Iterable[ListedModel]) -> Iterator[str]:
    """Yield a table for the terminal, line by line, as the models are counted."""
    for row in itertools.chain([HEADER], (model.cells() for model in models)):
        yield "  ".join((*(cell.ljust(width) for cell, width in zip(row[:6], WIDTHS, strict=True)), row[6]))


def markdown_lines(models: Iterable[ListedModel]) -> Iterator[str]:
    """Yield the page docs/models.md line by line."""
    yield from ("# Models", "", *PREFACE, "")
    yield "| " + " | ".join(HEADER) + " |"
    yield "|" + "---|" * len(HEADER)
    for model in models:
        name, *rest = model.cells()
        yield "| " + " | ".join((f"`{name}`", *rest)) + " |"


def json_lines(models: Iterable[ListedModel]) -> Iterator[str]:
    """Yield the models as one JSON list."""
    yield json.dumps([asdict(model) for model in models], indent=2)


WRITERS: dict[str, Callable[[Iterable[ListedModel]], Iterator[str]]] = {
    "table": table_lines,
    "markdown": markdown_lines,
    "json": json_lines,
}
"""Format of ``vitcli list`` -> how it is written."""
