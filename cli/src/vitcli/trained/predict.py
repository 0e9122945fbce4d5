"""Classifying images with a trained run: the five most probable classes of each, as CSV, JSON and a contact sheet."""

import csv
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitcli.config.errors import ConfigError
from vitcli.records.json_files import FORMAT, write_json, write_text
from vitcli.trained.contact_sheet import MOST_IMAGES, write_contact_sheet
from vitcli.trained.load import TrainedRun
from vittasks.data.read_image import read_image, why

TOP, BATCH = 5, 32
CSV, JSON, SHEET = "predictions.csv", "predictions.json", "contact_sheet.png"


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of an image, the most probable first.

    Args:
        image: The file.
        names: Names of the classes.
        probabilities: Their probabilities.
    """

    image: Path
    names: tuple[str, ...]
    probabilities: tuple[float, ...]


def predict(run: TrainedRun, images: Sequence[Path], device: str) -> tuple[list[Prediction], dict[Path, str]]:
    """Return the predictions for all images that can be read, and why the others cannot be read.

    Raises:
        ConfigError: The run has no transform for images, or its model is not a classifier.
    """
    transform, model, channels = run.transform, run.model.to(device), run.image_shape[0]
    found: list[Prediction] = []
    damaged: dict[Path, str] = {}

    def read(path: Path) -> Tensor | str:
        try:
            return transform(read_image(str(path), channels))
        except Exception as error:  # decoders raise many kinds for damaged files
            return why(error)

    with ThreadPoolExecutor() as readers:
        for first in range(0, len(images), BATCH):
            paths = images[first : first + BATCH]
            inputs = dict(zip(paths, readers.map(read, paths), strict=True))
            damaged |= {path: one for path, one in inputs.items() if isinstance(one, str)}
            tensors = {path: one for path, one in inputs.items() if isinstance(one, Tensor)}
            if tensors:
                probabilities = _probabilities(run, model, torch.stack(list(tensors.values())).to(device))
                found += [_prediction(run, *pair) for pair in zip(tensors, probabilities, strict=True)]
    return found, damaged


def _probabilities(run: TrainedRun, model: torch.nn.Module, images: Tensor) -> Tensor:
    with torch.inference_mode():
        logits = model(images)
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise ConfigError(
            f"{run.directory}: {type(run.task).__name__} returns no logits (images, classes) to predict from."
        )
    if run.class_names is not None and len(run.class_names) != logits.shape[1]:
        raise ConfigError(
            f"{run.directory}: the model has {logits.shape[1]} classes, but {len(run.class_names)} names of classes are known."
        )
    return logits.float().softmax(dim=1).cpu()


def _prediction(run: TrainedRun, path: Path, probabilities: Tensor) -> Prediction:
    values, classes = probabilities.topk(min(TOP, len(probabilities)))
    names = run.class_names or tuple(map(str, range(len(probabilities))))
    return Prediction(path, tuple(names[one] for one in classes.tolist()), tuple(values.tolist()))


def write_predictions(run: TrainedRun, found: Sequence[Prediction], damaged: dict[Path, str], out: Path) -> None:
    """Write predictions.csv, predictions.json and, if an image could be read, contact_sheet.png.

    Raises:
        ConfigError: The directory cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / CSV, _table(found))
        write_json(out / JSON, _record(run, found, damaged))
        captions = {one.image: f"{one.names[0]} {one.probabilities[0]:.2f}" for one in found[:MOST_IMAGES]}
        if captions:
            write_contact_sheet(captions, run.image_shape[0], out / SHEET)
    except OSError as error:
        raise ConfigError(f"{out}: the predictions cannot be written ({error.strerror or error}).") from error


def _table(found: Sequence[Prediction]) -> str:
    ranks = range(1, 1 + max((len(one.names) for one in found), default=TOP))
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["image", *(f"{column}{rank}" for rank in ranks for column in ("class", "probability"))])
    for one in found:
        pairs = zip(one.names, one.probabilities, strict=True)
        rows.writerow([one.image, *(value for name, probability in pairs for value in (name, f"{probability:.6f}"))])
    return text.getvalue()


def _record(run: TrainedRun, found: Sequence[Prediction], damaged: dict[Path, str]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "run": str(run.directory),
        "predictions": [
            {
                "image": str(one.image),
                "top": [
                    {"class": name, "probability": probability}
                    for name, probability in zip(one.names, one.probabilities, strict=True)
                ],
            }
            for one in found
        ],
        "unreadable": [{"image": str(path), "reason": reason} for path, reason in damaged.items()],
    }
