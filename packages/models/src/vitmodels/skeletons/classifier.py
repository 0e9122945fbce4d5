"""What timm asks of a classifier, whatever its skeleton: a head, features after chosen layers, groups of parameters."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from vitcore.norm import normalise


class ImageClassifier(nn.Module):
    """The part of timm's interface that all skeletons share. A skeleton defines ``pools``, ``walk``, ``pool``, ``macs`` and its
    layers.

    Args:
        in_chans: Channels of the image.
        width: Channels that the head reads.
        drop_rate: Dropout before the head.

    Attributes:
        trunk: The name of the attribute that holds the layers.
        map_formats: The forms in which ``forward_intermediates`` gives features.
        norm: The normalisation before the head.
    """

    trunk: ClassVar[str] = "blocks"
    map_formats: ClassVar[tuple[str, ...]] = ("NCHW", "NLC")
    norm: nn.Module

    def __init__(self, in_chans: int, width: int, drop_rate: float) -> None:
        super().__init__()
        self.in_chans = in_chans
        self.num_features = self.head_hidden_size = self.embed_dim = width
        self.drop_rate = drop_rate
        self.grad_checkpointing = False

    @property
    def num_prefix_tokens(self) -> int:
        """Class tokens in the features that the head reads."""
        raise TypeError(f"{type(self).__name__} does not define num_prefix_tokens.")

    @property
    def pools(self) -> tuple[str, ...]:
        """What the head can read."""
        raise TypeError(f"{type(self).__name__} does not define pools.")

    @property
    def layers(self) -> nn.ModuleList:
        """The layers, after each of which features can be taken."""
        found: nn.ModuleList = getattr(self, self.trunk)
        return found

    def attach_head(self, num_classes: int, global_pool: str) -> None:
        """Make the head; last, so that it comes last in the state dict.

        Args:
            num_classes: Classes; 0 for no head.
            global_pool: What the head reads.

        Raises:
            ValueError: The head cannot read what ``global_pool`` names.
        """
        if global_pool not in self.pools:
            raise ValueError(
                f"{type(self).__name__}: global_pool must be one of {', '.join(map(repr, self.pools))} here, "
                f"got global_pool={global_pool!r}."
            )
        self.num_classes, self.global_pool = num_classes, global_pool
        self.head = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()

    def get_classifier(self) -> nn.Module:
        """Return the head."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: Literal["token", "avg", ""] | None = None) -> None:
        """Replace the head by a fresh one for ``num_classes``, or by none for 0; optionally change the pooling."""
        old = next(self.parameters())
        self.attach_head(num_classes, self.global_pool if global_pool is None else global_pool)
        if isinstance(self.head, nn.Linear):
            nn.init.trunc_normal_(self.head.weight, std=0.02)
            nn.init.zeros_(self.head.bias)
        self.head.to(device=old.device, dtype=old.dtype)

    def set_grad_checkpointing(self, enable: bool = True) -> None:  # noqa: FBT001, FBT002 (timm's signature)
        """Recompute activations in the backward pass instead of keeping them."""
        self.grad_checkpointing = enable

    def no_weight_decay(self) -> set[str]:
        """Names of the parameters without weight decay: those that modules list in their attribute ``no_weight_decay``."""
        return {
            f"{module_name}.{name}"
            for module_name, module in self.named_modules()
            if module is not self
            for name in getattr(module, "no_weight_decay", ())
            if getattr(module, name) is not None
        }

    def head_macs(self) -> int:
        """Multiply-adds of the head."""
        return self.head.weight.numel() if isinstance(self.head, nn.Linear) else 0

    def macs(self, h: int, w: int) -> int:
        """Multiply-adds for an image of h x w pixels."""
        raise TypeError(f"{type(self).__name__} does not state its cost: define macs(h, w).")

    def walk(self, image: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield grid (b, h, w, c) and prefix (b, p, c) before the first layer and after each layer."""
        raise TypeError(f"{type(self).__name__} does not define walk(image).")

    def fits_norm(self, index: int) -> bool:
        """Whether the norm before the head has the width of a layer's output."""
        return True

    def finish(self, grid: Tensor, prefix: Tensor | None) -> Tensor:
        """Apply the norm to grid and prefix of the last layer, as one sequence (b, p + h * w, c)."""
        return normalise(self.norm, join(grid, prefix))

    def forward_features(self, image: Tensor) -> Tensor:
        """Return the normalised features of the last layer, not pooled."""
        for state in self.walk(image):
            last = state
        return self.finish(*last)

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        return_prefix_tokens: bool = False,  # noqa: FBT001, FBT002 (timm's signature, here and below)
        norm: bool = False,  # noqa: FBT001, FBT002
        stop_early: bool = False,  # noqa: FBT001, FBT002
        output_fmt: Literal["NCHW", "NHWC", "NLC"] = "NCHW",
        intermediates_only: bool = False,  # noqa: FBT001, FBT002
    ) -> Any:
        """Return the features after chosen layers, as timm does.

        Args:
            x: Image (b, in_chans, H, W).
            indices: The last n layers, chosen layers, or all.
            return_prefix_tokens: Pair each map with its ``num_prefix_tokens`` prefix tokens, if the model has any; a layer
                without them, such as the first stages of a pyramid, gives zeros, so that all pairs have one form.
            norm: Apply the norm before the head to the features that have its width.
            stop_early: Do not run the layers after the last chosen one.
            output_fmt: Maps (b, c, h, w) or (b, h, w, c), or tokens (b, h * w, c); see ``map_formats``.
            intermediates_only: Leave out the final features.

        Returns:
            (final features as from ``forward_features``, list of features), or the list alone. If the model is stopped before a
            layer that changes the width, the last grid is returned as the final features.

        Raises:
            ValueError: The skeleton does not have this form, or an index is out of range.
        """
        if output_fmt not in self.map_formats:
            formats = " or ".join(self.map_formats)
            raise ValueError(f"forward_intermediates: output_fmt must be {formats}, got output_fmt={output_fmt!r}.")
        chosen = chosen_layers(len(self.layers), indices)
        features: list[Any] = []
        for index, (grid, prefix) in enumerate(self.walk(x), -1):
            if index in chosen:
                normed = norm and self.fits_norm(index)
                feature = arranged(normalise(self.norm, grid) if normed else grid, output_fmt)
                if return_prefix_tokens and self.num_prefix_tokens:
                    features.append((feature, self._tokens_beside(grid, prefix, normed)))
                else:
                    features.append(feature)
            if stop_early and index == max(chosen):
                break
        if intermediates_only:
            return features
        return (self.finish(grid, prefix) if self.fits_norm(index) else grid), features

    def _tokens_beside(self, grid: Tensor, prefix: Tensor | None, normed: bool) -> Tensor:  # noqa: FBT001 (not public)
        """Return the prefix (b, p, c) of a layer, normalised on request; zeros if the layer has none."""
        if prefix is None:
            return grid.new_zeros(grid.shape[0], self.num_prefix_tokens, grid.shape[3])
        return normalise(self.norm, prefix) if normed else prefix

    def prune_intermediate_layers(
        self,
        indices: int | list[int] = 1,
        prune_norm: bool = False,  # noqa: FBT001, FBT002 (timm's signature)
        prune_head: bool = True,  # noqa: FBT001, FBT002
    ) -> list[int]:
        """Drop the layers, and on request norm and head, that the chosen features do not need; return their indices."""
        chosen = chosen_layers(len(self.layers), indices)
        setattr(self, self.trunk, self.layers[: max(chosen) + 1])
        if prune_norm:
            self.norm = nn.Identity()
        if prune_head:
            self.reset_classifier(0, "")
        return chosen

    def pool(self, features: Tensor) -> Tensor:
        """Reduce the features to what the head reads."""
        raise TypeError(f"{type(self).__name__} does not define pool(features).")

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:  # noqa: FBT001, FBT002 (timm's signature)
        """Pool the features and classify them; with ``pre_logits`` only pool."""
        pooled = dropout(self.pool(features), self.drop_rate, self.training)
        return pooled if pre_logits else self.head(pooled)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (b, num_classes)."""
        return self.forward_head(self.forward_features(image))


def join(grid: Tensor, prefix: Tensor | None) -> Tensor:
    """Return one sequence (b, p + h * w, c), prefix first."""
    tokens = grid.flatten(1, 2)
    return tokens if prefix is None else torch.cat((prefix, tokens), dim=1)


def arranged(grid: Tensor, form: str) -> Tensor:
    """Return a grid (b, h, w, c) as a map NCHW or NHWC, or as tokens NLC."""
    return {"NCHW": grid.permute(0, 3, 1, 2), "NHWC": grid, "NLC": grid.flatten(1, 2)}[form]


def chosen_layers(count: int, indices: int | list[int] | None) -> list[int]:
    """Return the layers that timm's ``indices`` stand for, counted from the first.

    Args:
        count: How many layers there are.
        indices: None for all layers, a number n for the last n, or indices, where negative ones count from the end.

    Raises:
        ValueError: There are fewer layers.
    """
    wanted = range(-count, 0) if indices is None else range(-indices, 0) if isinstance(indices, int) else indices
    if not wanted or not all(-count <= index < count for index in wanted):
        raise ValueError(f"indices must choose among {count} layers, got indices={indices!r}.")
    return [index % count for index in wanted]
