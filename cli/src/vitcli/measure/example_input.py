"""The example that a model is applied to before it is trained: one image of the size that its data module makes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor


@dataclass(frozen=True)
class ExampleInput:
    """Arguments of a model's ``forward``, and the number of images in them."""

    arguments: tuple[Any, ...]
    named: Mapping[str, Any]
    images: int

    def to(self, device: str) -> "ExampleInput":
        """Return the example on another device; on the meta device only the shapes remain."""
        return ExampleInput(_to(self.arguments, device), _to(dict(self.named), device), self.images)

    @property
    def shapes(self) -> str:
        """The shapes as text for messages; a single tensor is shown without its batch size."""
        tensors = _tensors((self.arguments, dict(self.named)))
        return ", ".join(str(tuple(tensor.shape[1:] if len(tensors) == 1 else tensor.shape)) for tensor in tensors)


def example_input(model: LightningModule, data: LightningDataModule) -> ExampleInput:
    """Return an example image for a model.

    It is a blank image of the data module's ``image_shape`` if there is one, else the model's ``example_input_array``, else the
    first image of the first training batch. A batch's images are its first entry, as in (image, target).

    Raises:
        ValueError: None of the three exists.
    """
    shape = getattr(data, "image_shape", None)
    if shape is not None:
        return ExampleInput((torch.zeros((1, *shape), device="cpu"),), {}, 1)
    given = getattr(model, "example_input_array", None)
    if given is not None:
        named = given if isinstance(given, Mapping) else {}
        arguments = () if named else given if isinstance(given, tuple) else (given,)
        return ExampleInput(arguments, named, max(1, len(_tensors((arguments, dict(named)))[0])))
    try:
        return ExampleInput((_first_image(data),), {}, 1)
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ValueError(
            f"there is no image to try the model with: {type(data).__name__} has no image_shape, {type(model).__name__} no "
            f"example_input_array, and no training batch can be had ({reason}); give one of them"
        ) from error


def blank_image(data: LightningDataModule, size: tuple[int, int]) -> ExampleInput:
    """Return a blank image of a height and width, with the channels of the data's images, or 3 if the data do not say."""
    channels = getattr(data, "image_shape", (3,))[0]
    return ExampleInput((torch.zeros((1, channels, *size), device="cpu"),), {}, 1)


def _first_image(data: LightningDataModule) -> Any:
    data.prepare_data()
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    first = batch[0] if isinstance(batch, tuple | list) else batch
    if not isinstance(first, Tensor | list | tuple) or not len(first):
        raise TypeError(f"a batch is {type(batch).__name__} and does not begin with images")
    return first[:1]


def _to(value: Any, device: str) -> Any:
    if isinstance(value, Tensor):
        # A tensor on the meta device has no values to copy.
        return torch.zeros_like(value, device=device) if value.is_meta else value.to(device)
    if isinstance(value, tuple | list):
        return type(value)(_to(inner, device) for inner in value)
    if isinstance(value, Mapping):
        return {name: _to(inner, device) for name, inner in value.items()}
    return value


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return [tensor for one in inner for tensor in _tensors(one)]
