"""Small trials that share one GPU, and memory that runs out there."""

import pytest
import torch

from tests.cli.tiny_ablation import ABLATION, PLAIN, results, write
from vitcli.main import main
from vittasks import Classification

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore"),  # Lightning's advice about GPUs
]

ACCELERATOR = "gpu" if torch.cuda.is_available() else "cpu"


class Greedy(Classification):
    def training_step(self, batch, index):
        torch.empty(1 << 45, dtype=torch.uint8, device=self.device)


def test_trials_share_a_gpu(tmp_path):
    trainer = PLAIN["trainer"] | {"accelerator": ACCELERATOR, "devices": 1}
    path = write(tmp_path / "arms.yaml", PLAIN, trainer=trainer, ablation=ABLATION | {"workers": 4}, runs=str(tmp_path))
    assert main(["fit", "--config", path]) == 0
    assert {result["status"] for result in results(tmp_path / "arms").values()} == {"done"}


def test_a_batch_that_does_not_fit_is_named(tmp_path, capsys):
    trainer = PLAIN["trainer"] | {"accelerator": ACCELERATOR, "devices": 1}
    model = PLAIN["model"] | {"class_path": f"{__name__}.Greedy"}
    path = write(tmp_path / "greedy.yaml", PLAIN, trainer=trainer, model=model, runs=str(tmp_path))
    assert main(["fit", "--config", path]) == 1
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    assert f"the memory of {device} ran out with a batch of 64 images of 1 x 32 x 32" in capsys.readouterr().err


def test_bfloat16_trains(tmp_path):
    trainer = PLAIN["trainer"] | {"accelerator": ACCELERATOR, "devices": 1, "precision": "bf16-mixed"}
    assert main(["fit", "--config", write(tmp_path / "bf16.yaml", PLAIN, trainer=trainer, runs=str(tmp_path))]) == 0
