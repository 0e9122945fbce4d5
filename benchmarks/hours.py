"""GPU-hours of each paper's ImageNet recipe: from its operations, or from the rates that ``gpu.sh`` has measured.

    python benchmarks/hours.py
    python benchmarks/hours.py --measured benchmarks/results/2026-01-31-gpu.md

By operations: images of the training set x epochs x 3 (the backward pass costs twice the forward pass) x 2 x multiply-adds, at a
share of an A100's 312 TFLOP/s in bfloat16. The shares are assumptions: half of what timm publishes for inference on an RTX 3090
(mixed precision, 71 TFLOP/s), rounded down. There deit_small reaches 59 %, swin_tiny 25 % and pvt_v2_b0 10 % of the peak.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

IMAGES, PEAK = 1_281_167, 312e12
COLUMN, WINDOWS, LIGHT = 0.25, 0.10, 0.05
"""Shares of the peak: columns of large products; pyramids, and columns of small ones; depth-wise convolutions and gathering."""

EPOCHS = {"cswin": 310, "pvt": 310}
"""Epochs with the cool-down of the papers' code, where it is not 300."""

RECIPES = {
    "DeiT, small": (WINDOWS, ("deit_tiny",)),
    "DeiT": (COLUMN, ("deit_small", "deit_base")),
    "LocalViT": (LIGHT, ("localvit_tiny", "localvit_small")),
    "PVT": (WINDOWS, ("pvt_tiny", "pvt_small", "pvt_large")),
    "PVTv2": (LIGHT, ("pvtv2_b0", "pvtv2_b2", "pvtv2_b5")),
    "Swin": (WINDOWS, ("swin_tiny", "swin_small", "swin_base")),
    "CSWin": (WINDOWS, ("cswin_tiny", "cswin_small", "cswin_base")),
    "Slide-Swin": (LIGHT, ("slide_swin_tiny", "slide_swin_small", "slide_swin_base")),
    "BOAT-Swin": (LIGHT, ("boat_swin_tiny", "boat_swin_small", "boat_swin_base")),
    "BOAT-CSWin": (LIGHT, ("boat_cswin_tiny", "boat_cswin_small", "boat_cswin_base")),
    "Pale": (WINDOWS, ("pale_tiny", "pale_small", "pale_base")),
}


def measured_rates(path: Path) -> dict[str, float]:
    """Model -> training images a second, from the first table of models in a file of ``gpu.sh``."""
    part = path.read_text().partition("## Models, eager")[2].partition("\n## ")[0]
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("| `")
    ]
    return {cells[0]: float(cells[3]) for cells in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measured", type=Path, help="a file of results that gpu.sh wrote")
    arguments = parser.parse_args()
    listed = subprocess.run(
        [sys.executable, "-m", "vitcli.main", "list", "--format", "json"], capture_output=True, check=True
    ).stdout
    macs = {model["model"]: model["macs"] for model in json.loads(listed)}
    rates = measured_rates(arguments.measured) if arguments.measured else {}
    print("| recipe | model | GMACs | epochs | images/s on a GPU | share of the peak | GPU-hours | days on 8 GPUs |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for recipe, (share, models) in RECIPES.items():
        for model in (model for model in models if model in macs):
            epochs = next((number for start, number in EPOCHS.items() if model.startswith(start)), 300)
            rate = rates.get(model, share * PEAK / (6 * macs[model]))
            how = "measured" if model in rates else f"{100 * share:.0f} %"
            hours = IMAGES * epochs / rate / 3600
            cells = (recipe, f"`{model}`", f"{macs[model] / 1e9:.1f}", f"{epochs}", f"{rate:,.0f}", how)
            print(f"| {' | '.join(cells)} | {hours:,.0f} | {hours / 24 / 8:.1f} |")


if __name__ == "__main__":
    main()
