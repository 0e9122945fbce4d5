"""Export of the weights alone: as a safetensors file, and as a directory that ``timm.create_model`` opens."""

import copy
from collections.abc import Callable
from pathlib import Path

import timm
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import vitmodels
from vitcli.config.errors import ConfigError
from vitcli.trained.described import as_metadata, description
from vitcli.trained.load import TrainedRun
from vittasks import Classification
from vittasks.distillation import logits_of

OURS = "vitmodels."


def write_safetensors(run: TrainedRun, path: Path) -> Callable[[Tensor], Tensor]:
    """Write the model's state dict, with the run's description in its metadata, and return a model with what was read."""
    # Copies, since safetensors refuses names that share memory.
    state = {name: value.detach().clone().contiguous() for name, value in run.network.state_dict().items()}
    save_file(state, path, metadata=as_metadata(run))
    network = copy.deepcopy(run.network)
    for value in network.state_dict().values():
        value.zero_()
    network.load_state_dict(load_file(path))
    return lambda images: logits_of(network(images))


def write_timm(run: TrainedRun, path: Path) -> Callable[[Tensor], Tensor]:
    """Write config.json and model.safetensors for ``timm.create_model("local-dir:...", pretrained=True)``; return that model.

    Raises:
        ConfigError: timm does not know the model by name.
    """
    model = _contiguous(_from_timm(run))
    known = description(run)
    names = known.pop("class_names", None)
    timm.models.save_for_hf(
        model,
        path,
        model_config={} if names is None else {"label_names": names},
        safe_serialization=True,
        data_config=known,
    )
    network: nn.Module = timm.create_model(f"local-dir:{path}", pretrained=True)
    return network.eval()


def _from_timm(run: TrainedRun) -> nn.Module:
    """Return the run's model as timm builds it, with its pretrained configuration and arguments.

    Raises:
        ConfigError: The model is neither timm's nor one of this project's that timm knows by name.
    """
    if hasattr(run.network, "pretrained_cfg"):
        return run.network
    backbone = run.config["model"].get("init_args", {}).get("backbone", {})
    whole = type(run.network).__name__
    path = backbone.get("class_path", whole) if isinstance(run.task, Classification) else whole
    name = path.removeprefix(OURS)
    if name not in vitmodels.MODELS:
        raise ConfigError(
            f"{run.directory}: the model is {path}, which timm.create_model does not know by name; "
            "export it as onnx, torch_export or safetensors."
        )
    arguments = {key: value for key, value in backbone.get("init_args", {}).items() if key != "pretrained"}
    model: nn.Module = timm.create_model(name, **arguments)
    model.load_state_dict(run.network.state_dict())
    return model.eval()


def _contiguous(model: nn.Module) -> nn.Module:
    """Return a copy whose tensors lie in memory as safetensors needs them."""
    model = copy.deepcopy(model)
    for value in (*model.parameters(), *model.buffers()):
        value.data = value.data.contiguous()
    return model
