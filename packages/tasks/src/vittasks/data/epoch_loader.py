"""A DataLoader that asks its sampler for the epoch no earlier than for the first batch."""

from collections.abc import Iterator

from torch import Tensor
from torch.utils.data import DataLoader


class EpochLoader(DataLoader[tuple[Tensor, Tensor]]):
    """A DataLoader whose iterator starts at its first batch rather than at ``iter()``.

    Lightning 2.6 makes the training iterator before it tells the sampler the epoch, and after loading a checkpoint it
    uses that first iterator. A plain DataLoader with workers has then already asked for the batches of epoch 0, so that
    a run resumed in epoch k trains on epoch 0 again. Starting late costs nothing but the head start of the workers.
    """

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:  # type: ignore[override]
        """Yields the batches of the epoch that the sampler holds when the first one is asked for."""
        yield from super().__iter__()
