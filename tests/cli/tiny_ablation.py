"""An ablation that trains in a second: two arms of a LocalViT of width 16 on 200 composites."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

LIGHTNING = [
    # LightningCLI calls what jsonargparse 4.49 renamed.
    pytest.mark.filterwarnings(r"ignore:\s*By default only one JsonargparseDeprecationWarning"),
    pytest.mark.filterwarnings(r"ignore:\s*``ArgumentParser.add_instantiator`` was deprecated"),
    pytest.mark.filterwarnings(r"ignore:\s*``instantiate_classes`` was deprecated"),
    # The tests run on the CPU wherever they are.
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
]
"""Marks for tests that build with LightningCLI in the test process, where every warning is an error."""

ACTIVATION = "model.backbone.every.feed_forward.op.activation"
GATE = "model.backbone.every.feed_forward.op.channel_attention"

MODEL = {
    "class_path": "vittasks.Classification",
    "init_args": {
        "backbone": {
            "class_path": "vitmodels.localvit_tiny",
            "num_classes": 10,
            "in_chans": 1,
            "img_size": 32,
            "width": 16,
            "depth": 3,
            "stem.patch_size": 8,
            "every.mixer.op.head_dim": 8,
            "every.feed_forward.op.channel_attention.reduction": 16,
        },
    },
}
DATA = {"class_path": "vittasks.DigitScenes", "val_size": 100, "test_size": 100, "batch_size": 64}
TRAINER = {
    "accelerator": "cpu",
    "max_epochs": 1,
    "limit_train_batches": 2,
    "num_sanity_val_steps": 0,
    "log_every_n_steps": 1,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}
PLAIN: dict[str, Any] = {"threads": 1, "model": MODEL, "data": DATA, "trainer": TRAINER}
ABLATION: dict[str, Any] = {
    "baseline": "plain",
    "seeds": 2,
    "arms": {"plain": {}, "gelu": {ACTIVATION: "torch.nn.GELU"}},
}


def write(path: Path, *layers: dict[str, Any], **changes: Any) -> str:
    """Write a configuration file of these layers' keys and return its path; later keys win."""
    content: dict[str, Any] = {}
    for layer in (*layers, changes):
        content |= copy.deepcopy(layer)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


def results(directory: Path) -> dict[str, dict[str, Any]]:
    """Return result.json of every trial of an ablation, by ``arm/seed0``."""
    return {
        f"{path.parent.parent.name}/{path.parent.name}": json.loads(path.read_text())
        for path in sorted(directory.glob("*/seed*/result.json"))
    }
