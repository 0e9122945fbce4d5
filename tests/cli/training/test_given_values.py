"""What is set beside ``--ckpt_path`` wins over what the checkpoint remembers."""

import pytest
import torch

from tests.cli.tiny_ablation import LIGHTNING, PLAIN, write
from vitcli.main import main
from vittasks import Classification
from vittasks.optim import OptimizerFactory

pytestmark = LIGHTNING


class Remembering(Classification):
    """A task that saves its arguments in checkpoints, as many do."""

    def __init__(
        self, backbone: torch.nn.Module, optimizer: OptimizerFactory = torch.optim.AdamW, factor: float = 1.0
    ) -> None:
        super().__init__(backbone, optimizer)
        self.save_hyperparameters("factor")
        self.factor = factor

    def on_train_end(self):
        print("factor", self.factor)


@pytest.mark.slow
def test_values_that_are_given_win_over_the_checkpoint(tmp_path, capsys):
    model = {"class_path": f"{__name__}.Remembering", "init_args": {**PLAIN["model"]["init_args"], "factor": 2.0}}
    model["init_args"]["optimizer"] = {"class_path": "torch.optim.AdamW", "init_args": {"lr": 1e-3}}
    path = write(tmp_path / "given.yaml", PLAIN, model=model, runs=str(tmp_path))
    assert main(["fit", "--config", path]) == 0
    first = tmp_path / "given" / "fit0" / "last.ckpt"
    words = ["--ckpt_path", str(first), "--trainer.max_epochs", "2", "--model.factor", "3"]
    given = ["--model.optimizer.lr", "1e-5", "--model.optimizer.weight_decay", "0.3"]
    assert main(["fit", "--config", path, *words, *given]) == 0
    output = capsys.readouterr()
    assert "factor 3.0" in output.out
    groups = torch.load(tmp_path / "given/fit1/last.ckpt", weights_only=True)["optimizer_states"][0]["param_groups"]
    assert [(group["initial_lr"], group["weight_decay"]) for group in groups] == [(1e-5, 0.3), (1e-5, 0.0)]
    schedule = torch.load(tmp_path / "given/fit1/last.ckpt", weights_only=True)["lr_schedulers"][0]
    assert schedule["base_lrs"] == [1e-5, 1e-5]
    assert torch.load(first, weights_only=True)["hyper_parameters"]["factor"] == pytest.approx(2.0)
