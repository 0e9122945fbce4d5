"""Makes the directory of an ablation with plausible numbers: five arms, five seeds, one failed and one stale trial."""

import csv
import hashlib
import itertools
import json
import math
import random
from collections.abc import Sequence
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


def make_arms(directory: Path, names: Sequence[str], seeds: int, epochs: int = 14, **plan: Any) -> Path:
    """Write a finished ablation with any number of arms, better and dearer from the first to the last, without event files."""
    noise = random.Random(0)
    write_plan(directory, tuple(range(seeds)))
    arms = {
        name: {
            "id": _id(name),
            "difference": {},
            "parameters": 100_000 + 7 * i,
            "macs": int(3e6 * (1 + 0.6 * noise.random())),
        }
        for i, name in enumerate(names)
    }
    edit_plan(directory, arms=arms, baseline=names[0], **plan)
    for i, name in enumerate(names):
        for seed in range(seeds):
            final = 0.85 + 0.05 * i / len(names) + random.Random(seed).gauss(0, 0.006) + noise.gauss(0, 0.006)
            trial = directory / name / f"seed{seed}"
            trial.mkdir(parents=True)
            _write_csv(trial / "metrics.csv", _training(final, noise)[: 2 * epochs])
            metrics = {"test/acc1": final, "test/loss": 1 - final}
            result = {"format": 1, "arm": name, "seed": seed, "id": _id(name), "status": "done", "epochs": epochs}
            cost = {"train_seconds": 30.0 + noise.random(), "train_images": epochs * IMAGES, "threads": 1}
            (trial / "result.json").write_text(json.dumps({**result, "metrics": metrics, **cost}))
    return directory


def make_grid(directory: Path, factors: dict[str, Sequence[str]], seeds: int = 3) -> Path:
    """Write a finished ablation whose arms are all combinations of levels."""
    combinations = [dict(zip(factors, levels, strict=True)) for levels in itertools.product(*factors.values())]
    levels = {"-".join(one.values()): one for one in combinations}
    return make_arms(directory, list(levels), seeds, levels=levels)


def edit_plan(directory: Path, **changes: Any) -> None:
    path = directory / "ablation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def write_speed(directory: Path) -> None:
    """Write speed.json for every arm of the plan."""
    plan = json.loads((directory / "ablation.json").read_text())
    arms = {
        name: {
            "id": arm["id"],
            "train_images_per_second": 400.0 + i,
            "inference_images_per_second": 1500.0 + i,
            "latency_ms": 4.25 + 0.5 * ((7 * i) % 5),
            "peak_memory_bytes": 150_000_000,
            "step_seconds": 0.16,
        }
        for i, (name, arm) in enumerate(plan["arms"].items())
    }
    conditions = {"device": "an x86 CPU", "threads": 2, "batch_size": 64, "precision": "float32", "rounds": 5}
    speed = {"format": 1, **conditions, "measured_at": "2026-01-02T03:04:05+00:00", "arms": arms}
    (directory / "speed.json").write_text(json.dumps(speed))


def set_provenance(directory: Path, **changes: Any) -> None:
    """Give every result of the directory the same provenance, but for ``changes``."""
    provenance = {
        "commit": "1a2b3c4d5e6f7081", "dirty": None, "versions": {"torch": "2.15.0", "lightning": "2.6.6"},
        "data": "dada00000000", "device": "an x86 CPU",
    }  # fmt: skip
    for path in directory.glob("*/seed*/result.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"provenance": provenance | changes}))


def set_trial_provenance(directory: Path, arm: str, seed: int, /, **changes: Any) -> None:
    """Change the provenance of one trial."""
    path = directory / arm / f"seed{seed}" / "result.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps(result | {"provenance": result["provenance"] | changes}))
