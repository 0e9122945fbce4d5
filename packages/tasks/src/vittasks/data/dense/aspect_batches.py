"""An order of images in which each batch holds only wide or only tall images, so that little of it is padding."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from vittasks.data.sampling import EpochSampler


class AspectSampler(EpochSampler):
    """Yields ``(epoch, index)`` in the order of ``EpochSampler``, rearranged so that all images of a batch are of one kind.

    Images of each kind are collected until they fill a batch on all processes. Images left over at the end of an epoch are left
    out.

    Args:
        kinds: The kind of each image, such as whether it is wide.
        batch_size: Images in a batch of a process.
        seed: Seed of the order.

    Raises:
        ValueError: ``kinds`` is empty or ``seed`` is negative.
    """

    def __init__(self, kinds: Sequence[int], batch_size: int, seed: int) -> None:
        super().__init__(len(kinds), seed)
        self.kinds, self.batch = list(kinds), batch_size * self.num_replicas
        whole = sum(self.kinds.count(kind) // self.batch for kind in set(self.kinds))
        self.total_size = whole * self.batch
        self.num_samples = self.total_size // self.num_replicas

    def __iter__(self) -> Iterator[tuple[int, int]]:
        waiting: dict[int, list[int]] = {kind: [] for kind in set(self.kinds)}
        order: list[int] = []
        for index in self.shuffled().tolist():
            batch = waiting[self.kinds[index]]
            batch.append(index)
            if len(batch) == self.batch:
                order += batch
                batch.clear()
        skip, self.skip = self.skip, 0
        return ((self.epoch, index) for index in order[self.rank :: self.num_replicas][skip:])


def as_lists(samples: list[tuple[Tensor, dict[str, Tensor]]]) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Return the images of a batch and its targets, each in a list: their sizes may differ."""
    images, targets = zip(*samples, strict=True)
    return list(images), list(targets)
