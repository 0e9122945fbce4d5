"""Makes the directory of an ablation with plausible numbers: five arms, five seeds, one failed and one stale trial."""

import csv
import hashlib
import json
import math
import random
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

EPOCHS = 24
IMAGES = 1297
SEEDS = (0, 1, 2, 3, 4)
ACTIVATION = "model.backbone.every.feed_forward.op.activation"
CHANNELS = "model.backbone.every.feed_forward.op.channel_attention"
PLACEMENT = "model.backbone.every.feed_forward.op.placement"
SE = {"class_path": "vitcore.SqueezeExcitation", "init_args": {"reduction": 4}}

# arm -> (true accuracy, parameters, MACs, seconds, resolved difference)
ARMS: dict[str, tuple[float, int, int, float, dict[str, list[Any]]]] = {
    "relu6": (0.871, 123456, 3456789, 31.0, {}),
    "h_swish": (0.873, 123456, 3456789, 33.0, {ACTIVATION: ["torch.nn.ReLU6", "torch.nn.Hardswish"]}),
    "h_swish_eca": (
        0.880, 123480, 3461000, 36.0,
        {ACTIVATION: ["torch.nn.ReLU6", "torch.nn.Hardswish"],
         CHANNELS: ["torch.nn.Identity", "vitcore.EfficientChannelAttention"]},
    ),
    "h_swish_se4": (
        0.905, 151200, 3489000, 38.5,
        {ACTIVATION: ["torch.nn.ReLU6", "torch.nn.Hardswish"], CHANNELS: ["torch.nn.Identity", SE]},
    ),
    "no_depthwise": (0.838, 117000, 3100000, 24.0, {PLACEMENT: ["middle", "none"]}),
}  # fmt: skip


def make_finished_ablation(directory: Path, seeds: tuple[int, ...] = SEEDS) -> Path:
    """Write the whole directory, every trial done."""
    write_plan(directory, seeds)
    for arm in ARMS:
        for seed in seeds:
            write_trial(directory, arm, seed)
    return directory


def make_ablation(directory: Path) -> Path:
    """Write the whole directory: every trial done but h_swish/seed3 (failed) and no_depthwise/seed4 (stale)."""
    make_finished_ablation(directory)
    edit_result(directory, "h_swish", 3, status="failed", cause="the loss is NaN in epoch 7", metrics={})
    edit_result(directory, "no_depthwise", 4, id="0123456789ab")
    return directory


def write_plan(directory: Path, seeds: tuple[int, ...] = SEEDS) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    plan = {
        "format": 1,
        "name": directory.name,
        "question": "Which activation around the depth-wise convolution, and which channel attention after it?",
        "source": "LocalViT, Table 2",
        "baseline": "relu6",
        "metric": {"name": "test/acc1", "direction": "max"},
        "seeds": list(seeds),
        "command": f"vitcli fit --config ablations/{directory.name}.yaml",
        "versions": {"python": "3.11.7", "torch": "2.15.0", "lightning": "2.6.6"},
        "machine": {"cpu": "an x86 CPU", "cores": 2, "threads": 1, "workers": 2},
        "arms": {
            arm: {"id": _id(arm), "difference": difference, "parameters": parameters, "macs": macs}
            for arm, (_, parameters, macs, _, difference) in ARMS.items()
        },
    }
    (directory / "ablation.json").write_text(json.dumps(plan))


def write_trial(directory: Path, arm: str, seed: int) -> None:
    """One done trial: result.json, metrics.csv and an event file. Seeds share half of their noise across arms."""
    level, _, _, seconds, _ = ARMS[arm]
    shared, own = random.Random(f"{seed}"), random.Random(f"{arm} {seed}")
    final = level + shared.gauss(0, 0.008) + own.gauss(0, 0.006)
    trial = directory / arm / f"seed{seed}"
    trial.mkdir(parents=True, exist_ok=True)
    rows = _training(final, own)
    _write_csv(trial / "metrics.csv", rows)
    _write_events(trial / "events.out.tfevents.1700000000.host.1.0", rows)
    result = {
        "format": 1,
        "arm": arm,
        "seed": seed,
        "id": _id(arm),
        "status": "done",
        "epochs": EPOCHS,
        "metrics": {
            "test/acc1": round(final * 360) / 360,
            "test/acc5": min(1.0, 0.99 + own.gauss(0, 0.003)),
            "test/loss": 1.1 * (1 - final) + 0.25 + own.gauss(0, 0.01),
        },
        "train_seconds": seconds * own.uniform(0.97, 1.05),
        "train_images": EPOCHS * IMAGES,
        "threads": 1,
    }
    (trial / "result.json").write_text(json.dumps(result))


def edit_result(directory: Path, arm: str, seed: int, /, **changes: Any) -> None:
    path = directory / arm / f"seed{seed}" / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _id(arm: str) -> str:
    return hashlib.sha256(arm.encode()).hexdigest()[:12]


def _training(final: float, noise: random.Random) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = []
    for epoch in range(EPOCHS):
        step = (epoch + 1) * 20 - 1
        risen = 1 - math.exp(-(epoch + 1) / 5)
        wobble = noise.gauss(0, 0.03 * math.exp(-epoch / 8) + 0.003)
        accuracy = min(0.1 + (final - 0.1) * risen / (1 - math.exp(-EPOCHS / 5)) + wobble, 1.0)
        rows.append({"epoch": epoch, "step": step - 10, "train/loss": 2.3 * math.exp(-epoch / 6) + 0.3 + wobble})
        rows.append({"epoch": epoch, "step": step, "val/acc1": accuracy, "val/loss": 1.6 * (1 - accuracy) + 0.2})
    return rows


def _write_csv(path: Path, rows: list[dict[str, float]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["epoch", "step", "train/loss", "val/acc1", "val/loss"])
        writer.writeheader()
        writer.writerows(rows)


def _write_events(path: Path, rows: list[dict[str, float]]) -> None:
    with path.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=1.7e9, file_version="brain.Event:2").SerializeToString())
        for row in rows:
            values = [Summary.Value(tag=tag, simple_value=row[tag]) for tag in row if "/" in tag]
            event = Event(wall_time=1.7e9 + row["step"], step=int(row["step"]), summary=Summary(value=values))
            writer.write(event.SerializeToString())
