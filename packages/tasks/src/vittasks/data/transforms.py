"""Transforms of decoded images: timm's augmentation for photographs, only the geometric part of it for all others."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from PIL import Image
from timm.data import auto_augment as auto_augment_module
from timm.data.constants import DEFAULT_CROP_PCT, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.data.random_erasing import RandomErasing
from timm.data.transforms_factory import create_transform
from torch import Tensor
from torchvision import transforms

Transform = Callable[[Any], Tensor]
Interpolation = Literal["bilinear", "bicubic", "random"]
"""How an image is resized; ``random`` draws one of the two for each training photograph and is bicubic everywhere else."""
Crop = Literal["resized", "padded"]
"""How a training image is cut: 8 to 100 % of its area, resized; or as it is, moved by up to 4 pixels, as for CIFAR."""

PADDING = 4

MEAN, STD, CROP = IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, DEFAULT_CROP_PCT


class ByKind:
    """Applies one transform to PIL images and another to tensors.

    Args:
        photograph: For PIL images, L or RGB.
        tensor: For tensors (channels, H, W): images of more than 8 bits, or of other than 1 or 3 channels.
    """

    def __init__(self, photograph: Transform, tensor: Transform) -> None:
        self.photograph, self.tensor = photograph, tensor

    def __call__(self, image: Image.Image | Tensor) -> Tensor:
        """(channels, img_size, img_size) float32."""
        return self.tensor(image) if isinstance(image, Tensor) else self.photograph(image)


def training_transform(
    img_size: int,
    interpolation: Interpolation,
    auto_augment: str | None,
    color_jitter: float,
    re_prob: float,
    mean: Sequence[float],
    std: Sequence[float],
    crop: Crop,
) -> ByKind:
    """The augmentation of training images.

    Photographs take all of it. The policy and the jitter of colours are defined for images of 8 bits and one or three channels;
    tensors take the crop, the flip and the erasing.
    """
    photograph = create_transform(
        img_size,
        is_training=True,
        interpolation=interpolation,
        auto_augment=auto_augment,
        color_jitter=color_jitter,
        re_prob=re_prob,
        re_mode="pixel",
        mean=tuple(mean),
        std=tuple(std),
    )
    mend_posterize(photograph)
    if crop == "padded":
        photograph.transforms[0] = transforms.RandomCrop(img_size, padding=PADDING)
    cut = transforms.RandomResizedCrop(img_size, interpolation=_mode(interpolation), antialias=True)
    steps: list[Transform] = [
        transforms.RandomCrop(img_size, padding=PADDING) if crop == "padded" else cut,
        transforms.RandomHorizontalFlip(),
        transforms.Normalize(mean, std),
    ]
    if re_prob > 0:
        steps.append(RandomErasing(re_prob, mode="pixel", device="cpu"))
    return ByKind(photograph, transforms.Compose(steps))


def operations(photograph: transforms.Compose) -> Iterator[Any]:
    """The operations of a transform's timm policy; none without a policy."""
    for step in photograph.transforms:
        yield from getattr(step, "ops", ())
        for part in getattr(step, "policy", ()):
            yield from part


def mend_posterize(photograph: transforms.Compose) -> None:
    """Replace timm's posterize operation in a transform by ``posterize``."""
    for operation in operations(photograph):
        if operation.aug_fn is auto_augment_module.posterize:
            operation.aug_fn = posterize


def posterize(image: Image.Image, bits: int, **_: Any) -> Image.Image:
    """Timm's operation, but black for 0 bits, which earlier versions of PIL returned and PIL 13 refuses."""
    if bits > 0:
        return auto_augment_module.posterize(image, bits)
    return Image.new(image.mode, image.size)


def evaluation_transform(
    img_size: int, interpolation: Interpolation, crop_pct: float, mean: Sequence[float], std: Sequence[float]
) -> ByKind:
    """The resized image's central square, normalised."""
    photograph = create_transform(
        img_size, interpolation=_mode(interpolation).value, crop_pct=crop_pct, mean=tuple(mean), std=tuple(std)
    )
    steps: list[Transform] = [
        transforms.Resize(int(img_size / crop_pct), interpolation=_mode(interpolation), antialias=True),
        transforms.CenterCrop(img_size),
        transforms.Normalize(mean, std),
    ]
    return ByKind(photograph, transforms.Compose(steps))


def per_channel(name: str, values: Sequence[float], channels: int) -> tuple[float, ...]:
    """One value for each channel; ImageNet's three stand for their average where there are other than three channels.

    Raises:
        ValueError: There are neither ``channels`` values nor one, or a standard deviation is not positive.
    """
    given = tuple(values)
    if given in (MEAN, STD) and channels != 3:
        given = (sum(given) / 3,)
    if len(given) not in (1, channels):
        raise ValueError(f"data.{name} holds {len(given)} numbers, but data.channels is {channels}: give one for each.")
    if name == "std" and min(given) <= 0:
        raise ValueError(f"data.std is {list(given)}; expected positive numbers, since the images are divided by them.")
    return given if len(given) == channels else given * channels


def _mode(interpolation: Interpolation) -> transforms.InterpolationMode:
    return transforms.InterpolationMode("bicubic" if interpolation == "random" else interpolation)
