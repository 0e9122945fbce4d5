import copy

import pytest
import timm
import torch
from torch.nn.functional import cross_entropy

import vitmodels  # noqa: F401 (registers the models)
from tests.tasks.test_task import SGD, Linear, Noise, fit
from vittasks import Classification, Distillation, WarmupEMA

IMAGE = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(1))


def network(seed):
    one = Linear()
    torch.nn.init.normal_(one[1].weight, generator=torch.Generator().manual_seed(seed))
    return one


def distilled():
    every = {"mixer": {"op": {"init_args": {"head_dim": 4}}}}
    return timm.create_model(
        "deit_tiny_distilled", num_classes=3, in_chans=1, img_size=4, width=8, depth=3,
        stem={"init_args": {"patch_size": 2}}, stage1=every, stage2=every, stage3=every,
    )  # fmt: skip


def test_hard_distillation_is_cross_entropy_against_the_teachers_class():
    teacher, taught = network(0), network(1)(IMAGE)
    loss = Distillation(teacher, weight=0.25).mix_losses(torch.tensor(2.0), taught, IMAGE)
    assert loss.item() == pytest.approx(0.75 * 2 + 0.25 * cross_entropy(taught, teacher(IMAGE).argmax(1)).item())


def test_soft_distillation_is_the_divergence_at_a_temperature():
    teacher, taught = network(0), network(1)(IMAGE)
    loss = Distillation(teacher, "soft", 0.25, 3.0).mix_losses(torch.tensor(2.0), taught, IMAGE)
    p, q = (teacher(IMAGE) / 3).softmax(1), (taught / 3).softmax(1)
    assert loss.item() == pytest.approx(0.75 * 2 + 0.25 * 9 * (p * (p / q).log()).sum(1).mean().item(), rel=1e-5)


def test_a_teacher_of_other_classes_and_values_out_of_range_are_refused():
    other = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 5))
    with pytest.raises(ValueError, match=r"teacher has 5 classes and the student 3"):
        Distillation(other).mix_losses(torch.tensor(2.0), network(1)(IMAGE), IMAGE)
    with pytest.raises(ValueError, match=r"weight lies in \[0, 1\] and temperature is positive, got weight=2"):
        Distillation(other, weight=2)


def test_the_teacher_is_neither_trained_nor_kept_nor_copied():
    teacher = torch.nn.Sequential(network(0), torch.nn.BatchNorm1d(3))
    task = Classification(network(1), SGD, None, distillation=Distillation(teacher))
    before = copy.deepcopy(teacher.state_dict())
    fit(task, callbacks=[WarmupEMA()])
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert not [name for name in task.state_dict() if "distillation" in name]
    assert copy.deepcopy(task).distillation.teacher is teacher


def test_the_distillation_token_learns_from_the_teacher_and_the_class_token_from_the_labels():
    task = Classification(distilled(), SGD, None, distillation=Distillation(network(0), weight=1.0))
    data = next(iter(Noise().train_dataloader()))
    task._loss(*data).backward()
    assert task.backbone.distillation_head.weight.grad.abs().sum() > 0
    assert task.backbone.head.weight.grad.abs().sum() == 0
    assert task.eval()(data[0]).shape == (2, 3)


def test_a_distilled_network_trains_and_without_a_teacher_as_one_answer():
    _, rates = fit(Classification(distilled(), SGD, None, distillation=Distillation(network(0), "soft")))
    assert len(rates) == 8
    alone = Classification(distilled(), SGD, None)
    alone._loss(*next(iter(Noise().train_dataloader()))).backward()
    assert torch.equal(alone.backbone.head.bias.grad, alone.backbone.distillation_head.bias.grad)
