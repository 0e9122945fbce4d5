"""Segmentation of handwritten digits, written to disk and read like any other data: nothing to download."""

from pathlib import Path

from vittasks.data.dense.ade20k import ADE20KLabels
from vittasks.data.dense.segmentation_folder import SegmentationFolder
from vittasks.data.dense.written_scenes import SceneRecipe, scenes_hash, write_scenes
from vittasks.data.epoch_loader import check_batch

MEAN, STD = 0.14, 0.25
"""Mean and standard deviation of the pixels of the default scenes."""

SPLITS = ("training", "validation", "test")
DIGITS = tuple("0123456789")


class DigitSegmentation(SegmentationFolder):
    """Assign each pixel to a digit or to the background: 11 classes.

    Scenes are grey, 64 x 64 pixels, with 3 to 7 digits of 14 to 26 pixels that do not overlap, and noise. The digits are the
    1,797 images of 8 x 8 pixels that scikit-learn ships; those of validation and test are not seen in training. The scenes
    are drawn and written once, in the formats of ADE20K and COCO, and then read like any other data; ``root`` is where, and
    may be removed.

    Args:
        root: Folder in which the scenes are written, each kind in a folder of its own.
        recipe: How scenes are put together, and how many there are.
        batch_size: Images in a batch.
        workers: Processes that read.
        seed: Seed of the training's order; the scenes have a seed of their own.

    Attributes:
        num_classes: 11: the background, then the digits.
        image_shape: (1, side, side).

    Shapes:
        batches are (b, 1, side, side) float32 and (b, side, side) int64.
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
        super().__init__(
            str(self.scenes / scenes_hash(recipe)[:16]),
            ADE20KLabels(splits=SPLITS),
            num_classes=1 + len(DIGITS),
            channels=1,
            crop=recipe.side,
            shortest=0,
            largest_share=1.0,
            flip=0.0,
            distortion=0.0,
            mean=(MEAN,),
            std=(STD,),
            check="names",
            batch_size=batch_size,
            eval_batch_size=50,
            workers=workers,
            seed=seed,
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """The background, then the digits."""
        return "background", *DIGITS

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
