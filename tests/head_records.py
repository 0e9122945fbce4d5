"""Reading tests/golden/heads: what the public heads, losses and dense backbones compute."""

import json

import numpy as np
import torch

from tests.golden_records import FOLDER, goldenfill
from vitmodels import KeyRules, translate


class HeadRecord:
    """A record of either format: its weights, its maps, and comparisons with it."""

    def __init__(self, name: str) -> None:
        self.content = json.loads((FOLDER / "heads" / f"{name}.json").read_text())
        self.names: dict[str, str] = {}

    def __getitem__(self, key: str):
        return self.content[key]

    def maps(self) -> list[torch.Tensor]:
        """The feature maps, each a leaf that collects its gradient."""
        given = self.content.get("input")
        pairs = (
            zip(given["features"], given["seeds"], strict=True)
            if given
            else [(one["shape"], one["seed"]) for one in self["inputs"]]
        )
        return [goldenfill.golden_input(shape, seed, torch.float64).requires_grad_() for shape, seed in pairs]

    def image(self) -> torch.Tensor:
        return goldenfill.golden_input(self["input"]["shape"], self["input"]["seed"], torch.float64).requires_grad_()

    def labels(self) -> torch.Tensor:
        """The labels by the rule that the record states in words."""
        (h, w), classes = self["input"]["image"], self["args"]["classes"]
        labels = np.random.RandomState(7).randint(0, classes, (self["input"]["batch"], h, w))
        labels[:, : h // 8] = 255
        return torch.from_numpy(labels)

    def load(self, network: torch.nn.Module, rules: KeyRules, prefix: str = "") -> torch.nn.Module:
        """Give a network the weights; every name is used and every weight filled. ``prefix`` stands before the record's names."""
        network = network.double().eval()
        weights = goldenfill.make_state_dict(self.content, torch.float64)
        state = {prefix + name: value for name, value in weights.items()}
        network.load_state_dict(translate(state, rules, network))
        own = network.state_dict()
        renamed = {theirs: rules.rename(theirs, own) for theirs in state}
        self.names = {theirs.removeprefix(prefix): pair[0] for theirs, pair in renamed.items() if pair is not None}
        return network

    def assert_parameters(self, network: torch.nn.Module) -> None:
        assert sum(p.numel() for p in network.parameters()) == self["parameters"]

    def assert_gradients(
        self,
        network: torch.nn.Module,
        recorded: dict[str, float | None],
        inputs: list[torch.Tensor],
        input_norms: list[float | None],
    ) -> None:
        """The golden README's comparison: 1e-7 of the entry, or 1e-12 of the largest where the true gradient is zero."""
        floor = 1e-12 * max(value for value in recorded.values() if value is not None)
        parameters = dict(network.named_parameters())
        assert {self.names[theirs] for theirs in recorded} == set(parameters)
        wrong = {
            theirs: (gradient_norm(parameters[self.names[theirs]]), value)
            for theirs, value in recorded.items()
            if not close(gradient_norm(parameters[self.names[theirs]]), value, floor)
        }
        wrong |= {
            str(number): (gradient_norm(one), value)
            for number, (one, value) in enumerate(zip(inputs, input_norms, strict=True))
            if not close(gradient_norm(one), value, floor)
        }
        assert not wrong

    def assert_running_statistics(self, network: torch.nn.Module, recorded: dict[str, float]) -> None:
        buffers = dict(network.named_buffers())
        wrong = {
            theirs: (buffers[self.names[theirs]].norm().item(), value)
            for theirs, value in recorded.items()
            if not close(buffers[self.names[theirs]].norm().item(), value, 0.0)
        }
        assert not wrong


def assert_output(ours: torch.Tensor, recorded: dict) -> None:
    """Assert that a tensor has the recorded shape and values to 1e-9 of the largest."""
    assert list(ours.shape) == recorded["shape"]
    flat = ours.detach().flatten()
    if "every" in recorded:
        chosen, values = flat[:: recorded["every"]], recorded["values"]
    elif "sample" in recorded:
        values = recorded["sample"]["values"]
        chosen = flat[np.random.RandomState(0).choice(flat.numel(), len(values), replace=False)]
    else:
        chosen, values = flat, recorded["values"]
    error = (chosen - torch.tensor(values, dtype=torch.float64).flatten()).abs().max()
    assert error < 1e-9 * recorded["absmax"], f"relative error {error / recorded['absmax']:.2e}"


def gradient_norm(tensor: torch.Tensor) -> float | None:
    return None if tensor.grad is None else tensor.grad.norm().item()


def close(ours: float | None, recorded: float | None, floor: float) -> bool:
    if ours is None or recorded is None:
        return ours is recorded
    return abs(ours - recorded) <= 1e-7 * abs(recorded) + floor
