"""A loss that is not finite ends the training in its step, with the name of the module where it began."""

import pytest
import torch
from lightning.pytorch import Callback

from tests.cli.tiny_ablation import LIGHTNING
from tests.cli.training.test_continuation import resolved
from vitcli.training.run import fit_and_test
from vittasks import Classification

pytestmark = LIGHTNING


class Spoils(Callback):
    """Has one part of the network give a number that is not finite from the second step of the second epoch on."""

    def __init__(self, part: str, bad: float) -> None:
        self.part, self.bad = part, bad

    def on_train_batch_start(self, trainer, module, batch, index):
        if (trainer.current_epoch, index) == (1, 1):
            module.get_submodule(self.part).register_forward_hook(lambda part, given, output: output * self.bad)


class SpoilsWeight(Callback):
    """Makes one gradient infinite in the first step."""

    def on_after_backward(self, trainer, module):
        module.backbone.head.weight.grad[0, 0] = torch.inf


class SpoilsBatch(Callback):
    def on_train_batch_start(self, trainer, module, batch, index):
        batch[0][0, 0, 0, 0] = torch.nan


class SpoilsLoss(Classification):
    def training_step(self, batch, index):
        return super().training_step(batch, index) * torch.inf


def message_of(tmp_path, *callbacks, **changes):
    with pytest.raises(ArithmeticError) as error:
        fit_and_test(resolved(tmp_path, **changes), tmp_path / "run", callbacks)
    return str(error.value)


def test_the_step_and_the_module_are_named(tmp_path):
    part = "backbone.blocks.1.mixer.norm"
    where = "the loss is nan at step 3 (epoch 1, batch 1; all counted from 0, as in metrics.csv): it began in "
    assert message_of(tmp_path, Spoils(part, torch.inf)).startswith(
        f"{where}{part} (LayerNorm), whose inputs were finite, up to "
    )
    assert "\n1,1," not in (tmp_path / "run" / "metrics.csv").read_text()


@pytest.mark.slow
def test_a_fault_before_or_after_the_modules_is_located(tmp_path):
    assert "backbone.head.weight was not finite before this step" in message_of(tmp_path, SpoilsWeight())
    assert "the batch that the data module gave is not finite" in message_of(tmp_path, SpoilsBatch())
    model = {"class_path": f"{__name__}.SpoilsLoss"}
    assert "so it began in the loss itself" in message_of(tmp_path, model=model)
