"""A loss that is not finite ends the training at once and is traced to the module where it began."""

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, distributed, nn
from torch.utils._pytree import tree_leaves

from vitcli.training.ranks import any_rank


class NonFiniteLoss(Callback):
    """Checks the loss of every step before its backward pass, as DeiT's and Swin's training code do.

    If it is not finite, the same batch passes through the network once more while the inputs and outputs of all modules are
    looked at. The weights are still those of the step before.
    """

    def __init__(self) -> None:
        self.batch: tuple[Any, int] | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Remember the batch."""
        self.batch = batch, batch_idx

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Forget the batch."""
        self.batch = None

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Stop if the loss is not finite.

        Raises:
            ArithmeticError: It is not, in this process or another. The text names the step and where it began.
        """
        mine = not bool(loss.isfinite().all())
        if not any_rank(trainer, mine) or self.batch is None:
            return
        where = _origin(trainer, pl_module, *self.batch)
        place = f"step {trainer.global_step} (epoch {trainer.current_epoch}, batch {self.batch[1]}"
        sentence = f"the loss is {loss.detach().item()} at {place}; all counted from 0, as in metrics.csv): {where}"
        raise ArithmeticError(_first_sentence(sentence if mine else None))


def _origin(trainer: Trainer, module: LightningModule, batch: Any, index: int) -> str:
    """Return where the first non-finite number arose: in the batch, in the weights, in a module, or in the loss."""
    if any(_is_bad(leaf) for leaf in tree_leaves(batch)):
        return "the batch that the data module gave is not finite"
    weights = (name for name, tensor in module.named_parameters() if _is_bad(tensor))
    if (name := next(weights, None)) is not None:
        return (
            f"{name} was not finite before this step, so a gradient of the step before was not; lower the learning rate, or "
            f"clip gradients with trainer.gradient_clip_val"
        )
    watch = _Watch(module)
    try:
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            trainer.strategy.training_step(batch, index)
    finally:
        watch.remove()
    return watch.found or "all modules gave finite numbers, so it began in the loss itself, after them"


class _Watch:
    """Hooks that record the first module with a non-finite number, in the order of the computation."""

    def __init__(self, root: nn.Module) -> None:
        self.found = ""
        self.handles = [
            handle
            for name, module in root.named_modules()
            if name
            for handle in (
                module.register_forward_pre_hook(self._before(root, name), with_kwargs=True),
                module.register_forward_hook(self._after(name)),
            )
        ]

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def _before(self, root: nn.Module, name: str) -> Callable[..., None]:
        def look(module: nn.Module, positional: Any, named: Any) -> None:
            if not self.found and any(_is_bad(leaf) for leaf in tree_leaves((positional, named))):
                above = name.rpartition(".")[0]
                outer = f"{above} ({type(root.get_submodule(above)).__name__})" if above else type(root).__name__
                self.found = f"it began in the code of {outer}, before its part {name} ({type(module).__name__})"

        return look

    def _after(self, name: str) -> Callable[..., None]:
        def look(module: nn.Module, given: Any, output: Any) -> None:
            if not self.found and any(_is_bad(leaf) for leaf in tree_leaves(output)):
                finite = f"whose inputs were finite, up to {_largest(given):.2g}"
                self.found = f"it began in {name} ({type(module).__name__}), {finite}"

        return look


def _largest(given: Any) -> float:
    """Return the largest absolute value in a module's inputs, which distinguishes a diverging training from a failing op."""
    sizes = [float(leaf.abs().max()) for leaf in tree_leaves(given) if isinstance(leaf, Tensor) and leaf.numel()]
    return max(sizes, default=0.0)


def _is_bad(leaf: Any) -> bool:
    """Whether a tensor holds nan or +inf; -inf is what attention masks are made of."""
    return isinstance(leaf, Tensor) and leaf.is_floating_point() and bool((leaf.isnan() | leaf.isposinf()).any())


def _first_sentence(sentence: str | None) -> str:
    """Return the sentence of the first process that has one."""
    told: list[str | None] = [sentence]
    if distributed.is_available() and distributed.is_initialized():
        told = [None] * distributed.get_world_size()
        distributed.all_gather_object(told, sentence)
    return next(one for one in told if one is not None)
