"""Parameters and multiply-adds of whole segmentation networks and detectors beside what was published: a table of docs/dense.md.

    python benchmarks/dense_sizes.py                 counts all, in two minutes, and writes the table
    python benchmarks/dense_sizes.py --only pale     counts the models whose names hold this word, and prints them

Each network is that of a file in ablations/recipes/dense with another pyramid as its backbone. It is built without memory for
weights, and only counted. The published figures and remarks on them are in dense_sizes.csv: parameters in millions and
multiply-adds in billions (1e9), as printed there; ``within`` is the largest difference, in per cent, that ``remark`` explains.
"""

import argparse
import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from vitcli.config.command_line import Arguments
from vitcli.config.lightning_cli import base_config, resolve
from vitcli.measure.cost import CostCounter

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "dense.md"
BEGIN, END = "<!-- made by benchmarks/dense_sizes.py -->", "<!-- end of the table -->"
HEADS = {
    "ade20k_fpn_80k": "Semantic FPN",
    "ade20k_upernet_160k": "UPerNet",
    "coco_retinanet_1x": "RetinaNet",
    "coco_maskrcnn_1x": "Mask R-CNN",
    "coco_detr_50e": "DETR",
}
HEADER = ("head", "pyramid", "image", "parameters (M)", "published", "GMACs", "published", "source")
CLOSE = {"parameters": 0.005, "gmacs": 0.01}
"""Differences that need no remark, as fractions."""

Row = dict[str, str]
Cost = dict[str, float]


def read_rows() -> list[Row]:
    with (ROOT / "benchmarks" / "dense_sizes.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def cost(row: Row) -> Cost:
    """Return millions of parameters and billions (1e9) of multiply-adds."""
    arguments = Arguments([str(ROOT / "ablations" / "recipes" / "dense" / f"{row['recipe']}.yaml")])
    owner = "model.detector" if row["recipe"].startswith("coco") else "model"
    arguments.overrides = {
        "model.backbone": {"class_path": f"vitmodels.{row['model']}", "num_classes": 0},
        f"{owner}.map_norm": f"torch.nn.{row['map_norm'] or 'Identity'}",
    }
    config = resolve({**base_config(arguments), "trainer": {"accelerator": "cpu"}}, row["recipe"])
    found = CostCounter((int(row["height"]), int(row["width"]))).checked(config, row["recipe"])
    return {"parameters": found["parameters"] / 1e6, "gmacs": found["macs"] / 1e9}


def differences(row: Row, ours: Cost) -> Iterator[tuple[str, float]]:
    """Yield what differs by more than is close or rounded away, and by how many per cent."""
    for name, value in ours.items():
        if not row[name]:
            continue
        published = float(row[name])
        printed = 0.5 * 10 ** -len(row[name].partition(".")[2])
        if abs(value - published) > max(CLOSE[name] * published, printed):
            yield name, 100 * (value / published - 1)


def line(row: Row, ours: Cost) -> str:
    size = f"{row['height']} x {row['width']}"
    figures = (f"{ours['parameters']:.2f}", row["parameters"], f"{ours['gmacs']:.1f}", row["gmacs"])
    source = "; ".join(filter(None, (row["source"], row["remark"])))
    return f"| {' | '.join((HEADS[row['recipe']], '`' + row['model'] + '`', size, *figures, source))} |"


def table(rows: Iterable[Row]) -> list[str]:
    return [
        f"| {' | '.join(HEADER)} |",
        "|---|---|---|---:|---:|---:|---:|---|",
        *(line(row, cost(row)) for row in rows),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="count the models whose names hold this word")
    only = parser.parse_args().only
    lines = table(row for row in read_rows() if only in row["model"])
    if only:
        print("\n".join(lines))
        return
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text("\n".join([f"{before}{BEGIN}", *lines, END]) + rest.split(END)[1])


if __name__ == "__main__":
    main()
