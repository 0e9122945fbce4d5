import functools
import math

import lightning.pytorch as pl
import pytest
import timm
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging

import vitmodels  # noqa: F401 (registers the models)
from vittasks import Classification, DigitScenes, Mixing, WarmupCosine


def small(name="localvit_tiny_h_swish", **arguments):
    torch.manual_seed(0)
    every = {"mixer": {"op": {"init_args": {"head_dim": 8}}}}
    return timm.create_model(
        name, num_classes=10, in_chans=1, img_size=32, width=16, depth=3, stem={"init_args": {"patch_size": 8}},
        stage1=every, stage2=every, stage3=every, **arguments,
    )  # fmt: skip


def data(**arguments):
    return DigitScenes(val_size=100, test_size=100, **arguments)


def trainer(tmp_path, **arguments):
    arguments = {"max_epochs": 1, "limit_train_batches": 4, "num_sanity_val_steps": 0, "logger": False} | arguments
    return pl.Trainer(
        accelerator="cpu", default_root_dir=tmp_path, enable_progress_bar=False, enable_model_summary=False, **arguments
    )


def test_training_lowers_the_loss_and_logs_top_1_and_top_5(tmp_path):
    task = Classification(small(), functools.partial(torch.optim.AdamW, lr=3e-3), WarmupCosine)
    runner = trainer(tmp_path, max_epochs=3, limit_train_batches=1.0)
    runner.fit(task, datamodule=data())
    assert runner.callback_metrics["train/loss"] < math.log(10)
    (scores,) = runner.test(task, datamodule=data(), verbose=False)
    assert set(scores) == {"test/loss", "test/acc1", "test/acc5"}
    assert 0 <= scores["test/acc1"] <= scores["test/acc5"] <= 1


def test_accuracy_is_counted_over_the_whole_split(tmp_path):
    task, module = Classification(small()), data()
    (scores,) = trainer(tmp_path).test(task, datamodule=module, verbose=False)
    images, labels = zip(*module.test_dataloader(), strict=True)
    with torch.no_grad():
        ranked = task.eval()(torch.cat(images)).argsort(dim=1, descending=True)
    hits = ranked == torch.cat(labels)[:, None]
    assert scores["test/acc1"] == pytest.approx(hits[:, 0].float().mean().item())
    assert scores["test/acc5"] == pytest.approx(hits[:, :5].any(1).float().mean().item())


def test_top_5_is_left_out_where_there_are_fewer_classes():
    backbone = torch.nn.Linear(2, 3)
    backbone.num_classes = 3
    assert set(Classification(backbone).val_metrics.keys()) == {"val/acc1"}


def test_a_head_that_does_not_fit_the_data_is_refused_with_the_fix(tmp_path):
    model = small()
    model.reset_classifier(7)
    with pytest.raises(ValueError, match=r"is 7, but DigitScenes has 10 classes: set model.backbone.num_classes=10"):
        trainer(tmp_path).fit(Classification(model), datamodule=data())


def test_label_smoothing_and_mixing_reach_the_loss(tmp_path):
    def first_loss(**arguments):
        task = Classification(small(), **arguments)
        task.trainer = trainer(tmp_path)
        task.log = lambda *_, **__: None  # outside a running trainer there is nowhere to log to
        return task.training_step(next(iter(data().train_dataloader())), 0).item()

    plain, smooth, mixed = first_loss(), first_loss(label_smoothing=0.5), first_loss(mixing=Mixing(mixup=1.0))
    assert len({round(x, 6) for x in (plain, smooth, mixed)}) == 3


def test_the_schedule_steps_once_a_batch_over_the_whole_training(tmp_path):
    rates = []

    class Watch(pl.Callback):
        def on_train_batch_start(self, trainer, *_):
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    task = Classification(
        small(), functools.partial(torch.optim.AdamW, lr=1.0), functools.partial(WarmupCosine, warmup=0.5)
    )
    trainer(tmp_path, max_epochs=2, callbacks=[Watch()]).fit(task, datamodule=data())
    assert rates == pytest.approx(
        [0, 0.25, 0.5, 0.75, 1, 0.5 * (1 + math.cos(math.pi / 4)), 0.5, 0.5 * (1 - math.cos(math.pi / 4))]
    )


def test_a_checkpoint_holds_no_live_objects_and_resumes_to_the_same_weights(tmp_path):
    whole = Classification(small(), functools.partial(torch.optim.AdamW, lr=1e-3))
    runner = trainer(tmp_path / "whole", max_epochs=2, callbacks=[_SaveAfterFirst(tmp_path / "first.ckpt")])
    runner.fit(whole, datamodule=data())
    torch.load(tmp_path / "first.ckpt", weights_only=True)
    resumed = Classification(small(), functools.partial(torch.optim.AdamW, lr=1e-3))
    trainer(tmp_path / "resumed", max_epochs=2).fit(resumed, datamodule=data(), ckpt_path=tmp_path / "first.ckpt")
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


class _SaveAfterFirst(pl.Callback):
    def __init__(self, path):
        self.path = path

    def on_train_epoch_end(self, trainer, module):
        if trainer.current_epoch == 0:
            trainer.save_checkpoint(self.path)


def test_the_moving_average_of_lightning_is_what_is_tested(tmp_path):
    task = Classification(small(), functools.partial(torch.optim.AdamW, lr=1e-2))
    raw = []

    class KeepRaw(pl.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            raw[:] = [module.backbone.head.weight.detach().clone()]

    trainer(tmp_path, callbacks=[KeepRaw(), EMAWeightAveraging(decay=0.5)]).fit(task, datamodule=data())
    assert not torch.equal(task.backbone.head.weight, raw[0])


def test_two_arms_see_the_same_data_and_start_from_the_same_shared_weights(tmp_path):
    first, second = small(), small("localvit_tiny_relu6")
    for (name, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    a, b = (torch.cat([x for x, _ in data(seed=3).train_dataloader()]) for _ in range(2))
    assert torch.equal(a, b)
