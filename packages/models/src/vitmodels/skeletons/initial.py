"""Initial weights, drawn module by module from a seed and the module's name.

Two models that differ in one part start from the same weights in every parameter that they share by name and shape:
no module's weights depend on which modules were made before it. This makes paired comparisons of arms more precise.
"""

import zlib
from collections.abc import Callable

import torch
from torch import nn

InitialWeights = Callable[[nn.Module], None]


def draw_seed() -> int:
    """Draw a seed from torch's global generator: a new one at each call, reproducible under ``torch.manual_seed``."""
    return int(torch.empty((), dtype=torch.int64, device="cpu").random_(2**62))


def initialise(model: nn.Module, seed: int, rule: InitialWeights) -> None:
    """Apply ``rule`` to every module of ``model``, each from a generator seeded by (``seed``, the module's name).

    Modules that own only buffers are visited too, such as random directions of an attention. Torch's generators are left as they
    were; ``torch.manual_seed`` would also seed every CUDA device, now or at its first use.
    """
    devices = sorted({parameter.device.index for parameter in model.parameters() if parameter.is_cuda})
    with torch.random.fork_rng(devices=devices):
        generators = [torch.default_generator, *(torch.cuda.default_generators[index] for index in devices)]
        for name, module in model.named_modules():
            own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
            if own and not own[0].is_meta:
                for generator in generators:
                    generator.manual_seed(seed ^ zlib.crc32(name.encode()))
                rule(module)


@torch.no_grad()
def vision_transformer_weights(module: nn.Module) -> None:
    """Truncated normal (0.02) for linear weights, zero for their biases; anything else as its own ``reset_parameters``.

    Source: timm's VisionTransformer; convolutions and norms keep PyTorch's defaults.
    """
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif hasattr(module, "reset_parameters"):
        module.reset_parameters()  # type: ignore[operator]


@torch.no_grad()
def fan_out_weights(module: nn.Module) -> None:
    """As ``vision_transformer_weights``, but convolutions from a normal of variance 2 / fan-out, zero for their biases."""
    if isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    else:
        vision_transformer_weights(module)


@torch.no_grad()
def torch_weights(module: nn.Module) -> None:
    """Every module's own ``reset_parameters``: PyTorch's defaults."""
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()  # type: ignore[operator]
