"""The overhead of a training step under vitcli's trainer compared with a bare PyTorch loop on the same model and batches.

    python benchmarks/step.py                       four models, one thread, 3 minutes
    python benchmarks/step.py --batch 2 --img_size 64 --out benchmarks/results/2026-01-31-laptop-step.md

Both forms run in turns in one process, several rounds long, with equal weights, batches, optimizer and schedule. The trainer is
that of ``vitcli fit``: with its logs, checkpoints, seeds for each step, the check of each loss and the handling of signals. A
step lasts from the beginning of one to the beginning of the next, so that nothing between them is left out. The shortest step of
each form is compared, since other work on the machine can only lengthen steps; the medians are shown too.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import measure  # Imported first: it silences the profiler, which reads its settings when torch is imported.
import timm
import torch
from lightning.pytorch import Callback, LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import vitmodels  # noqa: F401 (registers the models)
from vitcli.config.command_line import parse_arguments
from vitcli.config.lightning_cli import base_config, resolve
from vitcli.training.provenance import processor
from vitcli.training.run import hide_expected_warnings, prepare
from vittasks import Classification

MODELS = ("deit_tiny", "pvtv2_b0", "swin_tiny", "localvit_tiny")
CLASSES, WARM_UP = 1000, 1
HEADER = "| model | bare, ms | trainer, ms | above it, ms | above it, % | above it, %, by medians |"


class Images(Dataset[tuple[Tensor, Tensor]]):
    """Random images that lie in memory."""

    def __init__(self, images: int, img_size: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randn(images, 3, img_size, img_size, generator=generator)
        self.labels = torch.randint(CLASSES, (images,), generator=generator)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]


class Fixed(LightningDataModule):
    """Batches of ``Images``."""

    def __init__(self, steps: int, batch_size: int, img_size: int) -> None:
        super().__init__()
        self.batch_size, self.num_classes = batch_size, CLASSES
        self.images = Images(steps * batch_size, img_size)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        return DataLoader(self.images, self.batch_size)


class Watch(Callback):
    """Notes when each step begins."""

    def __init__(self) -> None:
        self.begun: list[float] = []

    def on_train_batch_start(self, *_: object) -> None:
        self.begun.append(measure.clock())


def seconds(begun: list[float]) -> list[float]:
    """Seconds of each step after the warm-up."""
    return [b - a for a, b in zip(begun[WARM_UP:], begun[WARM_UP + 1 :], strict=False)]


def under_trainer(name: str, steps: int, batch: int, img_size: int) -> list[float]:
    """Steps of ``vitcli fit``."""
    words = [
        *("--model", "vittasks.Classification", "--model.backbone", f"vitmodels.{name}"),
        *("--data", "step.Fixed", "--data.steps", str(steps), "--data.batch_size", str(batch)),
        *("--data.img_size", str(img_size), "--model.backbone.img_size", str(img_size)),
        *("--trainer.max_epochs", "1", "--trainer.limit_val_batches", "0", "--trainer.accelerator", "cpu"),
        *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
        *("--trainer.log_every_n_steps", "1", "--threads", str(torch.get_num_threads())),
    ]
    arguments, watch = parse_arguments(words), Watch()
    with tempfile.TemporaryDirectory() as folder, hide_expected_warnings():
        cli = prepare(resolve(base_config(arguments), arguments.place), Path(folder), (watch,))
        cli.trainer.fit(cli.model, cli.datamodule)
    return seconds(watch.begun)


def bare(name: str, steps: int, batch: int, img_size: int) -> list[float]:
    """The same steps as a loop in PyTorch."""
    torch.manual_seed(0)
    task = Classification(timm.create_model(name, img_size=img_size))
    optimizer = task.optimizer(task.groups.split(task, task.no_weight_decay(), task.backbone_path))
    schedule, begun = task.schedule(optimizer, steps), []
    loader: Iterator[list[Tensor]] = iter(DataLoader(Images(steps * batch, img_size), batch))
    for images, labels in loader:
        begun.append(measure.clock())
        loss = torch.nn.functional.cross_entropy(task.backbone(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return seconds(begun)


def row(name: str, rounds: int, steps: int, batch: int, img_size: int) -> str:
    """Measure one model: both forms in turns, the one that begins changing from round to round."""
    found: dict[str, list[float]] = {"bare": [], "trainer": []}
    forms = {"bare": bare, "trainer": under_trainer}
    for number in range(rounds):
        for form in list(forms)[:: -1 if number % 2 else 1]:
            found[form] += forms[form](name, steps, batch, img_size)
    least, middle = ({form: how(times) for form, times in found.items()} for how in (min, statistics.median))
    cells = [f"`{name}`", f"{1e3 * least['bare']:.1f}", f"{1e3 * least['trainer']:.1f}"]
    cells.append(f"{1e3 * (least['trainer'] - least['bare']):+.2f}")
    cells += [f"{100 * (times['trainer'] / times['bare'] - 1):+.1f}" for times in (least, middle)]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(MODELS), help="these models, separated by commas")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--img_size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the report to this file too")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    report = [
        f"{date.today()}, {processor()}, {arguments.threads} threads, torch {torch.__version__}, float32, batch "
        f"{arguments.batch} at {arguments.img_size} pixels, {arguments.rounds} rounds of {arguments.steps} steps.",
        "",
        HEADER,
        "|" + " --- |" * 6,
    ]
    print(*report, sep="\n", flush=True)
    for name in arguments.only.split(","):
        report.append(row(name, arguments.rounds, arguments.steps, arguments.batch, arguments.img_size))
        print(report[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(report) + "\n")


if __name__ == "__main__":
    main()
