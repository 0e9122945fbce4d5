"""Detection of handwritten digits, written to disk and read like any other data: nothing to download."""

from pathlib import Path

from vittasks.data.dense.coco import CocoObjects
from vittasks.data.dense.detection_folder import DetectionFolder
from vittasks.data.dense.digit_segmentation import DIGITS, SPLITS
from vittasks.data.dense.written_scenes import SceneRecipe, scenes_hash, write_scenes
from vittasks.data.epoch_loader import check_batch


class DigitDetection(DetectionFolder):
    """Find the digits of a scene: 10 classes, a box and a mask each; the scenes are those of ``DigitSegmentation``.

    Args:
        root: Folder in which the scenes are written, each kind in a folder of its own.
        recipe: How scenes are put together, and how many there are.
        batch_size: Images in a batch.
        workers: Processes that read.
        seed: Seed of the training's order; the scenes have a seed of their own.

    Attributes:
        num_classes: 10.
        image_shape: (1, side, side).

    Shapes:
        batches are a list of images (1, side, side) from 0 to 1, and a list of targets: boxes (n, 4) in pixels, labels (n,)
        from 0 to 9, masks (n, side, side), iscrowd (n,) and area (n,).
    """

    def __init__(
        self,
        root: str = "runs/digit_scenes",
        recipe: SceneRecipe = SceneRecipe(),  # noqa: B008 (never changed)
        batch_size: int = 16,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        self.recipe, self.scenes = recipe, Path(root)
        train, val, test = SPLITS
        super().__init__(
            str(self.scenes / scenes_hash(recipe)[:16]),
            CocoObjects(
                (f"instances_{train}.json", f"instances_{val}.json", f"instances_{test}.json"),
                (f"images/{train}", f"images/{val}", f"images/{test}"),
            ),
            num_classes=len(DIGITS),
            channels=1,
            image_side=recipe.side,
            flip=0.0,
            check="names",
            batch_size=batch_size,
            eval_batch_size=batch_size,
            workers=workers,
            seed=seed,
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """The digits."""
        return DIGITS

    def fingerprint(self) -> str:
        """Which data these are: a hash of the digits and of what defines the scenes; it needs no file."""
        return scenes_hash(self.recipe)

    def check_data(self) -> None:
        """Check that a batch is no larger than the training set; the scenes are written when they are needed.

        Raises:
            ValueError: It is larger.
        """
        check_batch(self.batch_size, self.recipe.training)

    def prepare_data(self) -> None:
        """Write the scenes, unless they exist."""
        write_scenes(self.recipe, self.scenes)
