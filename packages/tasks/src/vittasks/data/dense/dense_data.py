"""What the data modules of dense tasks share: splits that are read and checked, faults that are counted, and loaders."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vittasks.data.class_folders import hash_files
from vittasks.data.dense.faults import Check, Faults, OnFault, readable_entries
from vittasks.data.dense.layouts import KINDS, Kind, Layout
from vittasks.data.epoch_loader import EpochLoader, check_batch, eval_loader, train_loader
from vittasks.data.sampling import EpochSampler

STAGES: dict[str, tuple[Kind, ...]] = {"fit": ("train", "val"), "validate": ("val",)}


class Entries(Protocol):
    """The images of a split with their labels."""

    @property
    def paths(self) -> list[Path]:
        """The files of the images."""

    def __len__(self) -> int: ...

    def __getitem__(self, item: tuple[int, int] | int) -> Any: ...

    def read(self, index: int) -> Any:
        """Return an entry as it is in the files; raise a ValueError "kind: entry" if it has a fault."""

    def check(self, index: int) -> None:
        """Check the beginning and the end of an image file; raise a ValueError "kind: entry" if it has a fault."""

    def keep(self, indices: list[int]) -> None:
        """Keep only these entries."""


class DenseData(LightningDataModule):
    """Images with labels in files; a subclass says which labels.

    Args:
        root: Folder of the data; ``~`` is the home folder.
        layout: Where the files lie.
        num_classes: Number of classes; None means that of the layout.
        channels: 1 for grey images, 3 for colour.
        on_fault: ``refuse`` data with faults, or ``skip`` the faulty entries.
        check: What is checked before a training.
        batch_size: Images in a training batch.
        eval_batch_size: Images in a batch of the evaluation.
        workers: Processes that read and augment.
        seed: Seed of the training's order and augmentation.

    Attributes:
        skipped: Split -> the number of faults of each kind that are left out, in words.
    """

    collate: Callable[[list[Any]], Any] | None = None

    def __init__(
        self,
        root: str,
        layout: Layout,
        num_classes: int | None,
        channels: int,
        on_fault: OnFault,
        check: Check,
        batch_size: int,
        eval_batch_size: int,
        workers: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.root, self.layout, self.in_chans = Path(root).expanduser(), layout, channels
        self.num_classes = layout.num_classes if num_classes is None else num_classes
        self.on_fault: OnFault = on_fault
        self.check, self.batch_size, self.eval_batch_size = check, batch_size, eval_batch_size
        self.workers, self.seed = workers, seed
        self.skipped: dict[str, str] = {}
        self.names: tuple[str, ...] | None = None
        self.data: dict[str, Any] = {}

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, in the order of their numbers; None if no file has named them yet."""
        return self.names

    def read(self, kind: Kind, faults: Faults) -> Entries:
        """Return the entries of a split, and note the names of the classes."""
        raise TypeError(f"{type(self).__name__} does not define read(kind, faults).")

    def sampler(self, data: Any) -> EpochSampler:
        """Return the order of a training."""
        return EpochSampler(len(data), self.seed)

    def fingerprint(self) -> str:
        """Which data these are: a hash of the names and sizes of images, and of lists and JSON files; it reads no image."""
        total = hashlib.sha256()
        for place in self.layout.places(self.root):
            if place.is_file():
                with place.open("rb") as file:
                    total.update(hashlib.file_digest(file, "sha256").digest())
            else:
                total.update(hash_files([place]).encode())
        return total.hexdigest()

    def notes(self) -> list[str]:
        """What a reader of the results should know about these data, in phrases."""
        return [f"left out of {kind}: {counts}" for kind, counts in self.skipped.items() if counts]

    def check_data(self) -> None:
        """Check all splits before anything is trained.

        Raises:
            ValueError: A split is missing or has faults that are not to be skipped, or a batch is larger than the training set.
        """
        self.prepare_data()
        for kind in KINDS:
            self.split(kind)
        check_batch(self.batch_size, len(self.sampler(self.split("train"))))

    def setup(self, stage: str) -> None:
        """Read the splits that the stage needs, and look for faults."""
        for kind in STAGES.get(stage, ("test",)):
            self.split(kind)

    def split(self, kind: Kind) -> Any:
        """Return the entries of a split, which are read once.

        Raises:
            ValueError: It is missing, has faults that are not to be skipped, or does not have the expected classes.
        """
        if kind not in self.data:
            faults = Faults(type(self).__name__, f"{self.root} ({kind})", self.on_fault)
            data = self.read(kind, faults)
            if self.check != "names":
                look = data.read if self.check == "all" else data.check
                data.keep(readable_entries(len(data), look, faults, self._question(kind, data.paths)))
            faults.refuse_or_report()
            self._compare_classes()
            if not len(data):
                raise ValueError(f"{faults.owner}: {faults.place} holds no image that can be used.")
            self.skipped[kind], self.data[kind] = faults.counts(), data
        return self.data[kind]

    def _compare_classes(self) -> None:
        names = self.class_names
        if names is not None and len(names) != self.num_classes:
            raise ValueError(
                f"{type(self).__name__}: data.num_classes is {self.num_classes}, but the data have {len(names)} classes "
                f"({', '.join(names[:3])}, ...): set data.num_classes={len(names)}."
            )

    def _question(self, kind: Kind, paths: list[Path]) -> str:
        """Return everything that the faults of a split depend on."""
        reader = (type(self).__name__, type(self.layout).__name__, sorted(map(str, vars(self.layout).items())))
        how = (kind == "train", self.num_classes, self.in_chans, self.check)
        return repr((self.fingerprint(), reader, how, list(map(str, paths))))

    def train_dataloader(self) -> EpochLoader:
        """Full batches of augmented images, in an order drawn from (seed, epoch)."""
        data = self.split("train")
        return train_loader(data, self.sampler(data), self.batch_size, self.workers, self.collate)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The validation images."""
        return eval_loader(self._dataset("val"), self.eval_batch_size, self.workers, self.collate)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The test images."""
        return eval_loader(self._dataset("test"), self.eval_batch_size, self.workers, self.collate)

    def predict_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The test images."""
        return self.test_dataloader()

    def _dataset(self, kind: Kind) -> Dataset[Any]:
        data: Dataset[Any] = self.split(kind)
        return data
