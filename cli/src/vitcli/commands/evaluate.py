"""``vitcli validate``, ``test`` and ``predict``: apply a trained checkpoint to one split of the data, or a run to images.

If the first word is a directory, the command is about the run in it; otherwise options name a configuration and a checkpoint.
"""

import sys
from pathlib import Path

from vitcli.config.command_line import (
    COMMAND_LINE,
    parse_arguments,
    parse_run,
    refuse_options,
    take_choice,
    take_option,
)
from vitcli.config.errors import ConfigError
from vitcli.imports import heavy_imports

WEIGHTS = ("ema", "last")


def validate(words: list[str]) -> int:
    """Score a checkpoint on the validation split."""
    return _evaluate("validate", words)


def test(words: list[str]) -> int:
    """Score a run or a checkpoint on the test split; for a run, also measure the throughput of its model.

    Args:
        words: Words after ``vitcli test``: a run's directory and, if wanted, ``--weights ema`` or ``last``,
            ``--img_size PIXELS`` and ``--data.KEY VALUE``; or ``--config FILE --ckpt_path FILE``.

    Raises:
        ConfigError: The input is bad.
    """
    return _test_run(list(words)) if _begin_with_a_run(words) else _evaluate("test", words)


def predict(words: list[str]) -> int:
    """Classify images, draw segmentations or detections, or pass a checkpoint's predictions to the trainer's callbacks.

    Args:
        words: Words after ``vitcli predict``: a run's directory, images and folders, ``--out DIR`` and, if wanted,
            ``--weights ema`` or ``--weights last``; or ``--config FILE --ckpt_path FILE``.

    Returns:
        Exit code: 0, or 1 if an image could not be read; the others are predicted all the same.

    Raises:
        ConfigError: The input is bad.
    """
    return _predict_images(list(words)) if _begin_with_a_run(words) else _evaluate("predict", words)


def _begin_with_a_run(words: list[str]) -> bool:
    return bool(words) and not words[0].startswith("-")


def _predict_images(words: list[str]) -> int:
    out, weights = take_option(words, "--out"), take_choice(words, "--weights", WEIGHTS)
    refuse_options("predict", words, ("--out", "--weights"))
    if out is None or len(words) < 2:
        raise ConfigError(
            f"{COMMAND_LINE}: predict needs a run, images or folders of images, and --out DIR, "
            "for example vitcli predict runs/act/h_swish/seed0 photos --out predictions."
        )
    import torch

    from vitcli.trained.images import find_images
    from vitcli.trained.load import load_run
    from vitcli.trained.predict import predict, write_predictions
    from vitcli.trained.predict_dense import is_dense, predict_dense

    run = load_run(words[0], weights)  # type: ignore[arg-type]
    images, device = find_images(words[1:], run.image_shape[0]), "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if is_dense(run):
            damaged = predict_dense(run, images, device, Path(out))
        else:
            found, damaged = predict(run, images, device)
            write_predictions(run, found, damaged, Path(out))
    except OSError as error:
        raise ConfigError(f"{error.filename}: reading failed ({error.strerror}); this lies in the disk.") from error
    for path, reason in damaged.items():
        print(f"vitcli: {path}: left out, since the image cannot be read ({reason}).", file=sys.stderr)
    print(f"Predictions of {len(images) - len(damaged)} images: {out}")
    return 1 if damaged else 0


def _test_run(words: list[str]) -> int:
    weights = take_choice(words, "--weights", WEIGHTS)
    arguments = parse_arguments(words[1:])
    if arguments.files:
        raise ConfigError(
            f"{COMMAND_LINE}: test scores either the run {words[0]} or a --config FILE with its --ckpt_path FILE, not both."
        )
    from vitcli.trained.load import load_run
    from vitcli.trained.score import describe, load_at_size, score

    changes = arguments.overrides
    size = changes.pop("img_size", None)
    if size is None:
        run = load_run(words[0], weights, changes)  # type: ignore[arg-type]
    else:
        run, changes = load_at_size(words[0], weights, size, changes)  # type: ignore[arg-type]
    print(describe(score(run, {"weights": weights, **changes})))
    return 0


def _evaluate(command: str, words: list[str]) -> int:
    arguments = parse_run(command, words)
    if sections := arguments.ablation_sections():
        place = sections[0][0]
        raise ConfigError(
            f"{place}: {command} evaluates a single run, but this file describes several arms; give the configuration of one "
            f"trial: --config runs/{Path(place).stem}/ARM/seed0/config.yaml."
        )
    with heavy_imports():
        from vitcli.training.plain_run import run

    return run(command, arguments)
