"""The samples of a litdata stream, augmented; this file alone imports litdata, which is an extra."""

import io
from typing import Any

import numpy as np
from litdata import StreamingDataset
from litdata.streaming.sampler import ChunkedIndex
from PIL import Image
from torch import Tensor

from vittasks.data.read_image import convert_image, decode_image, why
from vittasks.data.sampling import global_generators
from vittasks.data.transforms import Transform


class LitDataSamples(StreamingDataset):
    """Images and class numbers; the augmentation of a sample is drawn from (seed, epoch, index).

    Args:
        place: Folder or address of the stream.
        transform: Transform of decoded images.
        channels: Channels that images are decoded to.
        keys: Names of the image and of the class in a sample that is a dictionary.
        seed: Seed of the order and the augmentation.
        shuffle: Whether the samples are shuffled anew in each epoch, and an incomplete last batch is dropped.
    """

    def __init__(
        self, place: str, transform: Transform, channels: int, keys: tuple[str, str], seed: int, *, shuffle: bool
    ) -> None:
        super().__init__(place, shuffle=shuffle, drop_last=shuffle, seed=seed)
        self.place, self.transform_image, self.channels, self.keys, self.run_seed = (
            place,
            transform,
            channels,
            keys,
            seed,
        )

    def __getitem__(self, index: Any) -> tuple[Tensor, int]:
        number = index.index if isinstance(index, ChunkedIndex) else int(index)
        item = super().__getitem__(index)
        stored, label = (item[key] for key in self.keys) if isinstance(item, dict) else item[:2]
        try:
            image = _image(stored, self.channels)
        except Exception as error:  # decoders raise almost anything
            raise ValueError(f"LitDataImages: image {number} of {self.place} cannot be read: {why(error)}.") from None
        with global_generators(self.run_seed, self.current_epoch, number):
            return self.transform_image(image), int(label)


def _image(stored: Any, channels: int) -> Any:
    if isinstance(stored, bytes):
        return decode_image(io.BytesIO(stored), channels)
    if isinstance(stored, Tensor):  # litdata decodes JPEG to (c, h, w)
        stored = stored.permute(1, 2, 0).squeeze(-1).numpy()
    return convert_image(Image.fromarray(stored) if isinstance(stored, np.ndarray) else stored, channels)
