"""How hard are the data of DigitScenes? The accuracy of a linear model, and a picture to judge by eye.

Run     python benchmarks/data_difficulty.py                                    accuracy: 40 s on one core
        python benchmarks/data_difficulty.py --picture docs/digit_scenes.png    the picture: 20 s
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from vittasks.data.digit_composites import Recipe, compose, fixed_composites, split_sources

# Of 1e-5, 1e-4, 1e-3 and 1 the best on the validation set: 0.193, 0.198, 0.184 and 0.149 (seed 0).
INVERSE_PENALTY = 1e-4


def linear_accuracy(seed: int, epochs: int) -> float:
    """Test accuracy of multinomial logistic regression on the pixels of some epochs of training composites."""
    from sklearn.linear_model import LogisticRegression

    recipe, sources = Recipe(), len(split_sources("train"))
    items = [(epoch, index) for epoch in range(epochs) for index in range(sources)]
    images, labels = compose(recipe, "train", seed, items)
    model = LogisticRegression(C=INVERSE_PENALTY, tol=1e-3, max_iter=500)
    model.fit(images.flatten(1).numpy(), labels.numpy())
    test_images, test_labels = fixed_composites(recipe, "test", 2000)
    return float(model.score(test_images.flatten(1).numpy(), test_labels.numpy()))


def picture(path: Path) -> None:
    """Forty validation composites, each under its class."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    images, labels = fixed_composites(Recipe(), "validation", 2000)
    shown = np.random.default_rng(0).permutation(len(labels))[:40]
    figure, axes = pyplot.subplots(4, 10, figsize=(7.5, 3.6), layout="constrained")
    for axis, index in zip(axes.flat, shown, strict=True):
        axis.imshow(images[index, 0], cmap="gray", interpolation="nearest")
        axis.set_title(int(labels[index]), fontsize=8, pad=2)
        axis.set_axis_off()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, help="draw 40 composites into this file instead of measuring")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.picture:
        picture(arguments.picture)
        return
    accuracies = [linear_accuracy(seed, arguments.epochs) for seed in range(arguments.seeds)]
    spread = np.std(accuracies, ddof=1) if len(accuracies) > 1 else float("nan")
    print(f"linear model, {arguments.epochs} epochs of composites, test set: {[round(a, 4) for a in accuracies]}")
    print(f"mean {np.mean(accuracies):.3f}, standard deviation over seeds {spread:.3f}, chance 0.100")


if __name__ == "__main__":
    main()
