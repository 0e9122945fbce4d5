"""Figures that the papers and their repositories print; ``vitcli list`` shows them beside ours."""

import csv
from dataclasses import dataclass
from pathlib import Path

PAPERS = {
    "PVT": "Wang et al., ICCV 2021, arXiv 2102.12122",
    "PVTv2": "Wang et al., CVMJ 2022, arXiv 2106.13797",
    "DeiT": "Touvron et al., ICML 2021, arXiv 2012.12877",
    "Swin": "Liu et al., ICCV 2021, arXiv 2103.14030",
    "CSWin": "Dong et al., CVPR 2022, arXiv 2107.00652",
    "T2T-ViT": "Yuan et al., ICCV 2021, arXiv 2101.11986",
    "TNT": "Han et al., NeurIPS 2021, arXiv 2103.00112",
    "NAT": "Hassani et al., CVPR 2023, arXiv 2204.07143",
    "Shuffle": "Huang et al., 2021, arXiv 2106.03650",
    "MSG": "Fang et al., CVPR 2022, arXiv 2105.15168",
    "Axial": "Wang et al., ECCV 2020, arXiv 2003.07853",
    "DAT": "Xia et al., CVPR 2022, arXiv 2201.00520",
    "LocalViT": "Li et al., 2021, arXiv 2104.05707",
    "Slide": "Pan et al., CVPR 2023, arXiv 2304.04237",
    "BOAT": "Yu et al., BMVC 2022, arXiv 2201.13027",
    "Pale": "Wu et al., AAAI 2022, arXiv 2112.14000",
}
"""Where each system was published."""


@dataclass(frozen=True)
class Published:
    """Published figures of a model; None where nothing is known.

    Attributes:
        parameters: Millions of parameters.
        gmacs: Multiply-adds of one image in billions (1e9), which most papers call FLOPs.
        top1: Accuracy on ImageNet-1k in per cent.
        paper: A key of ``PAPERS``.
        source: Where the figures are from; "not checked" means that they were quoted without the source at hand.
        remark: Why ours differ, if they do.
    """

    parameters: float | None
    gmacs: float | None
    top1: float | None
    paper: str
    source: str
    remark: str


def read_published() -> dict[str, Published]:
    """Return model -> published figures, from the table beside this file."""
    with (Path(__file__).parent / "published.csv").open(newline="", encoding="utf-8") as file:
        return {row["model"]: _published(row) for row in csv.DictReader(file)}


def _published(row: dict[str, str]) -> Published:
    parameters, gmacs, top1 = (float(row[key]) if row[key] else None for key in ("parameters", "gmacs", "top1"))
    return Published(parameters, gmacs, top1, row["paper"], row["source"], row["remark"])
