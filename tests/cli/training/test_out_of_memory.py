"""When memory runs out, the message names the batch and what to try."""

import json

import pytest
import torch

from tests.cli.tiny_ablation import LIGHTNING, PLAIN, write
from vitcli.main import main
from vitcli.training.out_of_memory import OutOfMemoryError, explain_out_of_memory
from vittasks import Classification

pytestmark = LIGHTNING

CONFIG = {"model": {}, "trainer": {"accumulate_grad_batches": 2, "precision": None}}


class Greedy(Classification):
    """Asks the CPU for an exbibyte, or Python for as much."""

    def training_step(self, batch, index):
        torch.empty(1 << 60, dtype=torch.uint8)


class Data:
    batch_size, image_shape = 64, (3, 224, 224)


def test_a_batch_that_does_not_fit_is_named_with_what_to_try(tmp_path, capsys):
    model = PLAIN["model"] | {"class_path": f"{__name__}.Greedy"}
    path = write(tmp_path / "greedy.yaml", PLAIN, model=model, runs=str(tmp_path))
    assert main(["fit", "--config", path]) == 1
    message = "the memory of cpu ran out with a batch of 64 images of 1 x 32 x 32 ("
    tried = "try data.batch_size 32 with trainer.accumulate_grad_batches 2, model.activations recompute or trainer.precision "
    error = capsys.readouterr().err
    assert message in error
    assert tried in error
    assert "Traceback" not in error
    result = json.loads((tmp_path / "greedy" / "fit0" / "result.json").read_text())
    assert result["status"] == "failed"
    assert result["cause"].startswith(message)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    ],
)
def test_every_way_to_run_out_is_known(error):
    with pytest.raises(OutOfMemoryError, match="size 32 with"), explain_out_of_memory(CONFIG, Data(), "cuda:0"):
        raise error


def test_shared_memory_is_distinguished_from_the_device_and_other_errors_pass():
    killed = RuntimeError(
        "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that ... shared memory"
    )
    with pytest.raises(OutOfMemoryError, match="docker run"), explain_out_of_memory(CONFIG, Data(), "cpu"):
        raise killed
    gone = RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
    message = r"a process that loads data was killed.*try fewer data\.workers"
    with pytest.raises(OutOfMemoryError, match=message), explain_out_of_memory(CONFIG, Data(), "cuda:0"):
        raise gone
    with pytest.raises(RuntimeError, match="stumbled"), explain_out_of_memory(CONFIG, Data(), "cpu"):
        raise RuntimeError("stumbled")
