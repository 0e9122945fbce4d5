"""Reading tests/golden: what the public implementations compute. A missing record fails; nothing is skipped."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).parent / "golden"

_spec = importlib.util.spec_from_file_location("goldenfill", FOLDER / "goldenfill.py")
goldenfill = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(goldenfill)


class OpRecord:
    """One op of a public implementation: input, weights, outputs and gradients (float64 runs stored as float32)."""

    def __init__(self, name: str) -> None:
        self.arrays = np.load(FOLDER / "ops" / f"{name}.npz")
        self.meta = json.loads(str(self.arrays["meta"]))

    def tensor(self, key: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[key]).double()

    @property
    def x(self) -> torch.Tensor:
        return self.tensor("x")

    def weights(self) -> dict[str, torch.Tensor]:
        """Original names -> float64 weights; the integer structures (batch counters, index tables) are left out."""
        keys = [key for key in self.arrays.files if key.startswith("w:")]
        return {key[2:]: self.tensor(key) for key in keys if np.issubdtype(self.arrays[key].dtype, np.floating)}

    def load(self, op: torch.nn.Module, rename) -> torch.nn.Module:
        """Load the weights under new names into ``op`` (float64, eval): every weight used, every parameter filled.

        ``rename``: original name -> new name, or -> (new name, function of the value).
        """
        op = op.double().eval()
        state = {}
        for name, value in self.weights().items():
            new = rename(name)
            new, transform = (new, None) if isinstance(new, str) else new
            state[new] = value if transform is None else transform(value)
        assert len(state) == len(self.weights()), "two weights were given one name"
        missing, unexpected = op.load_state_dict(state, strict=False)
        assert not unexpected, unexpected
        assert not [name for name in missing if name in dict(op.named_parameters())], missing
        return op

    def assert_matches(self, function, key: str = "y", mode: str = "eval") -> None:
        """Assert that ``function(x)`` has the record's values and, for the loss mean(y**2), its gradient in x.

        The stored float32 digits carry a rounding of 6e-8 relative to each entry; 1e-6 of the largest is the bar.
        Records of the training mode were run in float32, which leaves 1e-4.
        """
        x = self.x.requires_grad_()
        y = function(x)
        (gx,) = torch.autograd.grad(y.square().mean(), x)
        suffix = "fp64" if mode == "eval" else "train"
        bar = 1e-6 if mode == "eval" else 1e-4
        for ours, name in ((y, f"{key}_{suffix}"), (gx, f"gx_{suffix}")):
            record = self.tensor(name)
            assert ours.shape == record.shape, (name, ours.shape, record.shape)
            error = (ours - record).abs().max() / record.abs().max()
            assert error < bar, f"{name}: relative error {error:.2e}"


def model_record(family: str, variant: str) -> dict:
    return json.loads((FOLDER / "models" / family / f"{variant}.json").read_text())
