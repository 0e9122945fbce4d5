"""What all tasks share, shown on the smallest classifier."""

import copy
import functools

import lightning.pytorch as pl
import pytest
import timm
import torch
from torch.utils.data import DataLoader, TensorDataset

import vitmodels  # noqa: F401 (registers the models)
from vittasks import Classification, Freezing, Mixing, ParameterGroups, WarmupCosine

SGD = functools.partial(torch.optim.SGD, lr=1.0)


class Noise(pl.LightningDataModule):
    """Sixteen images of noise."""

    num_classes = 3

    def __init__(self, batch_size=2):
        super().__init__()
        self.batch_size = batch_size

    def train_dataloader(self):
        images = torch.randn(16, 1, 4, 4, generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(images, torch.arange(16) % 3), self.batch_size)

    val_dataloader = train_dataloader


class Linear(torch.nn.Sequential):
    num_classes = 3

    def __init__(self):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(16, 3))
        torch.nn.init.zeros_(self[1].weight)
        torch.nn.init.zeros_(self[1].bias)


class KeepRates(pl.Callback):
    def __init__(self):
        self.rates = []

    def on_before_optimizer_step(self, trainer, module, optimizer):
        self.rates.append([group["lr"] for group in optimizer.param_groups])


def fit(task, data=None, callbacks=(), **arguments):
    keep = KeepRates()
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[keep, *callbacks], limit_val_batches=0, log_every_n_steps=1, **arguments,
    )  # fmt: skip
    trainer.fit(task, data or Noise())
    return trainer, keep.rates


def test_without_a_schedule_the_learning_rate_stays():
    _, rates = fit(Classification(Linear(), SGD, None))
    assert rates == [[1.0, 1.0]] * 8


def test_a_run_on_one_device_adds_up_batches_until_a_step_has_the_recipes_images():
    whole, parts = Classification(Linear(), SGD, None), Classification(Linear(), SGD, None, global_batch=8)
    fit(whole, Noise(8))
    trainer, rates = fit(parts, Noise(2))
    assert (trainer.global_step, trainer.accumulate_grad_batches, rates) == (2, 4, [[1.0, 1.0]] * 2)
    assert torch.allclose(whole.backbone[1].weight, parts.backbone[1].weight, atol=1e-6)
    assert parts.notes() == ["8 images a step = 1 device x 2 images x 4 accumulated batches"]


@pytest.mark.parametrize(
    ("wanted", "given", "accumulated", "rate"),
    [(7, 1, 4, 8 / 7), (1, 1, 1, 2.0), (8, 2, 2, 0.5)],
    ids=["nearest number of batches", "a batch is too large", "the user's number is kept"],
)
def test_where_the_images_of_a_step_cannot_be_met_the_learning_rate_is_scaled(wanted, given, accumulated, rate):
    trainer, rates = fit(Classification(Linear(), SGD, None, global_batch=wanted), accumulate_grad_batches=given)
    assert trainer.accumulate_grad_batches == accumulated
    assert rates[0] == pytest.approx([rate, rate])


def test_the_schedule_counts_optimizer_steps_and_keeps_the_ratios_of_the_groups():
    backbone = Linear().insert(1, torch.nn.Linear(16, 16, bias=False))
    groups = ParameterGroups(undecayed="nothing", backbone_lr=0.5)
    _, rates = fit(
        Classification(backbone, SGD, functools.partial(WarmupCosine, warmup=0.5), groups=groups, global_batch=8)
    )
    assert rates == [[0.0, 0.0], [0.5, 1.0]]


def test_data_that_do_not_state_their_batch_are_refused_with_a_global_batch():
    data = Noise()
    loader = data.train_dataloader()
    del data.batch_size
    data.train_dataloader = lambda: loader
    with pytest.raises(ValueError, match=r"model\.global_batch is 8, but the data module does not say how many images"):
        fit(Classification(Linear(), SGD, global_batch=8), data)


def test_a_global_batch_below_1_is_refused():
    with pytest.raises(ValueError, match="global_batch must be at least 1, got global_batch=0"):
        Classification(Linear(), global_batch=0)


@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_gradients_are_clipped_before_a_fused_step_in_bfloat16(algorithm):
    task = Classification(Linear(), functools.partial(torch.optim.SGD, lr=1.0, fused=True), schedule=None)
    clip = {"gradient_clip_val": 1e-3, "gradient_clip_algorithm": algorithm}
    fit(task, precision="bf16-mixed", limit_train_batches=1, **clip)
    moved = torch.cat([weight.detach().flatten() for weight in task.parameters()])  # they began at zero
    assert (moved.norm() if algorithm == "norm" else moved.abs().max()).item() == pytest.approx(1e-3, rel=1e-3)


def test_recomputing_activations_needs_a_network_that_can_and_is_passed_on_to_it():
    with torch.device("meta"):
        assert Classification(timm.create_model("pvt_tiny"), activations="recompute").backbone.grad_checkpointing
    with pytest.raises(ValueError, match=r"model\.activations is recompute, but Linear has no set_grad_checkpointing"):
        Classification(Linear(), activations="recompute")


def test_a_frozen_backbone_is_not_changed_by_a_training():
    task = Classification(Linear(), SGD, freezing=Freezing(stages="all"))
    task.backbone.insert(1, torch.nn.BatchNorm1d(16))
    task.prepare_backbone()
    before = copy.deepcopy(task.backbone.state_dict())
    fit(task)
    changed = [name for name, value in task.backbone.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == ["2.weight", "2.bias"]


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_compiled_backbone_trains_to_the_same_weights():
    plain = Classification(Linear(), SGD, mixing=Mixing(mixup=1.0))
    compiled = Classification(Linear(), SGD, mixing=Mixing(mixup=1.0), compile="default")
    fit(plain)
    fit(compiled)
    assert plain.state_dict().keys() == compiled.state_dict().keys()
    assert torch.allclose(plain.backbone[1].weight, compiled.backbone[1].weight, atol=1e-5)
