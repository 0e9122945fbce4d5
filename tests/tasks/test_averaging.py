import pytest
import torch
from timm.utils import ModelEmaV3

from tests.tasks.test_task import SGD, Linear, Noise, fit
from vittasks import Classification, WarmupEMA


def test_the_average_is_that_of_timm_with_warm_up():
    task = Classification(Linear(), SGD, None)
    theirs = ModelEmaV3(task.backbone, decay=0.7, use_warmup=True)

    class Follow(WarmupEMA):
        def on_train_batch_end(self, trainer, module, *arguments):
            super().on_train_batch_end(trainer, module, *arguments)
            theirs.update(module.backbone, step=trainer.global_step)

    fit(task, Noise(), callbacks=[Follow(decay=0.7)])
    for ours, expected in zip(task.backbone.parameters(), theirs.module.parameters(), strict=True):
        assert torch.allclose(ours, expected, atol=1e-6)


@pytest.mark.parametrize("wrong", [{"decay": 1.0}, {"decay": -0.1}, {"power": 0.0}])
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"decay lies in \[0, 1\) and power is positive"):
        WarmupEMA(**wrong)
