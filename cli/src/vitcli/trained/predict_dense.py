"""Predictions of a trained segmentation or detection run: pictures, the classes of pixels, and objects as JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import to_pil_image
from torchvision.transforms.v2.functional import to_dtype, to_image

from vitcli.config.errors import ConfigError
from vitcli.records.json_files import FORMAT, write_json
from vitcli.trained.load import TrainedRun
from vitcli.trained.predict import JSON
from vittasks import Detection, Segmentation
from vittasks.data.dense.dense_data import DenseData
from vittasks.data.dense.layouts import KINDS
from vittasks.data.read_image import read_image, why
from vittasks.dense.drawing import SCORE, class_names, detection_picture, segmentation_picture


def is_dense(run: TrainedRun) -> bool:
    """Whether a run predicts the class of every pixel, or objects in an image."""
    return isinstance(run.task, Segmentation | Detection)


def predict_dense(run: TrainedRun, images: Sequence[Path], device: str, out: Path) -> dict[Path, str]:
    """Write a picture of each image, and predictions.json.

    A picture shows the image, the ground truth, the prediction and the errors side by side; the ground truth is known for images
    of the run's own data, if they still exist. For a segmentation, NAME_classes.png holds the class of every pixel.

    Returns:
        The images that cannot be read, with the reason.

    Raises:
        ConfigError: The directory cannot be written.
    """
    task: Any = run.task.to(device)
    names = class_names(run.class_names, task.num_classes)
    truths, damaged, predictions, taken = (
        _Truths(run, images),
        dict[Path, str](),
        list[dict[str, Any]](),
        dict[str, int](),
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path in images:
            try:
                image = read_image(str(path), run.image_shape[0])
            except Exception as error:  # decoders raise many kinds for damaged files
                damaged[path] = why(error)
                continue
            number = taken[path.stem] = taken.get(path.stem, -1) + 1
            stem = path.stem if number == 0 else f"{path.stem}_{number}"
            shown = to_dtype(to_image(image), torch.float32, scale=True)
            with torch.inference_mode():
                given = run.transform(image).to(device)
                predict = _pixels if isinstance(task, Segmentation) else _objects
                picture, found = predict(task, given, shown, truths.of(path), names, out / f"{stem}_classes.png")
            to_pil_image(picture).save(out / f"{stem}.png")
            predictions.append({"image": str(path), "picture": f"{stem}.png", **found})
        unreadable = [{"image": str(path), "reason": reason} for path, reason in damaged.items()]
        record = {"format": FORMAT, "run": str(run.directory), "predictions": predictions, "unreadable": unreadable}
        write_json(out / JSON, record)
    except OSError as error:
        raise ConfigError(f"{out}: the predictions cannot be written ({error.strerror or error}).") from error
    return damaged


PictureAndRecord = tuple[Tensor, dict[str, Any]]
"""A picture, and what is written about it."""


def _pixels(task: Any, given: Tensor, shown: Tensor, truth: Any, names: Sequence[str], path: Path) -> PictureAndRecord:
    found = task.classes(given[None], shown.shape[1:])[0].cpu()
    Image.fromarray(found.to(torch.uint8 if len(names) <= 256 else torch.int32).numpy()).save(path)
    shares = found.flatten().bincount(minlength=len(names)) / found.numel()
    classes = {names[number]: share for number, share in enumerate(shares.tolist()) if share}
    return segmentation_picture(shown, found, truth, task.ignored), {"classes_file": path.name, "classes": classes}


def _objects(task: Any, given: Tensor, shown: Tensor, truth: Any, names: Sequence[str], path: Path) -> PictureAndRecord:
    found = {name: value.cpu() for name, value in task([given])[0].items()}
    listed = [
        {"class": names[label], "score": score, "box": box}
        for label, score, box in zip(*(found[name].tolist() for name in ("labels", "scores", "boxes")), strict=True)
    ]
    return detection_picture(shown, found, truth, names), {"objects": [one for one in listed if one["score"] >= SCORE]}


class _Truths:
    """The ground truth of images that are part of the run's own data."""

    def __init__(self, run: TrainedRun, images: Sequence[Path]) -> None:
        self.known: dict[Path, tuple[Any, int]] = {}
        data = run.data
        if not isinstance(data, DenseData):
            return
        root = data.root.resolve()
        if not any(path.resolve().is_relative_to(root) for path in images):
            return
        data.check, data.on_fault = "names", "skip"
        for kind in KINDS:
            try:
                split = data.split(kind)
            except (OSError, ValueError):  # the training images may have been removed
                continue
            self.known |= {path.resolve(): (split, number) for number, path in enumerate(split.paths)}

    def of(self, path: Path) -> Any:
        """Return the ground truth of an image; None if it is not known."""
        split, number = self.known.get(path.resolve(), (None, 0))
        try:
            return None if split is None else split.read(number)[1]
        except ValueError:
            return None
