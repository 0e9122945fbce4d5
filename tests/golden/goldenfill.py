"""Deterministic "golden" weights and inputs for comparing two implementations of one network.

Idea: instead of storing weights, every tensor is generated from the name it has in the ORIGINAL
implementation's ``state_dict()``.  Whoever re-implements the network generates the same original-key
dictionary (``make_state_dict(record)``), pushes it through their own key converter, loads the result, feeds
``golden_input(...)`` and compares with the stored logits / feature statistics / gradient norms.

Rule ``goldenfill/1`` (all arithmetic in float32; draws in float64, rounded once to float32):

    v = numpy.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape).astype(float32)

    ndim >= 2, name ends in ".weight"      v * float32(1 / sqrt(prod(shape[1:])))
    ndim >= 2, anything else               v * float32(0.1)        (pos_embed, cls_token, bias tables, ...)
    ndim <= 1, ends in "running_var"       1 + float32(0.1) * |v|
    ndim <= 1, ends in "running_mean"      float32(0.1) * v
    ndim <= 1, ends in ".weight"           1 + float32(0.1) * v    (norm gains)
    ndim <= 1, anything else               float32(0.1) * v        (biases)

Left exactly as constructed: tensors that are not floating point (``relative_position_index``,
``num_batches_tracked``), tensors whose last name component is ``attn_mask``, and every name matching one of
the ``skip`` glob patterns (fixed structural tensors: a one-hot shift kernel, a sinusoid table).

A record may also carry ``scale``: ``{glob pattern: factor}``.  The value above is then multiplied once more by
float32(factor) (first matching pattern).  It is used only for T2T's random-feature attention, whose
``exp(w.x - |x|^2/2)`` underflows against its epsilon under the plain rule, which would leave that attention
untested.

Needs numpy and torch only; ``compare`` and ``load_record`` are conveniences.
"""

from __future__ import annotations

import fnmatch
import json
import math
import zlib

import numpy as np
import torch

RULE_ID = "goldenfill/1"
_MASKS = ("attn_mask",)


def _base_values(name: str, shape: tuple) -> np.ndarray:
    f32 = np.float32
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    v = np.asarray(rng.standard_normal(shape), dtype=f32)
    if len(shape) >= 2:
        if name.endswith(".weight"):
            return v * f32(1.0 / math.sqrt(math.prod(shape[1:])))
        return v * f32(0.1)
    if name.endswith("running_var"):
        return f32(1) + f32(0.1) * np.abs(v)
    if name.endswith("running_mean"):
        return f32(0.1) * v
    if name.endswith(".weight"):
        return f32(1) + f32(0.1) * v
    return f32(0.1) * v


def fill_values(name: str, shape, scale=None) -> np.ndarray:
    """The float32 values that rule ``goldenfill/1`` gives to the tensor ``name`` of ``shape``."""
    shape = tuple(int(s) for s in shape)
    values = _base_values(name, shape)
    for pattern, factor in (scale or {}).items():
        if fnmatch.fnmatchcase(name, pattern):
            values = values * np.float32(factor)
            break
    return np.ascontiguousarray(values, dtype=np.float32).reshape(shape)


def is_filled(name: str, is_floating: bool, skip=()) -> bool:
    """Whether the rule writes this tensor (False: it stays as the model constructed it)."""
    return (
        is_floating
        and name.rsplit(".", 1)[-1] not in _MASKS
        and not any(fnmatch.fnmatchcase(name, pattern) for pattern in skip)
    )


@torch.no_grad()
def fill_(state_dict, skip=(), scale=None) -> list:
    """Overwrites, in place, the tensors of an original ``model.state_dict()``; returns the names filled.

    The values are float32 whatever the tensor's dtype, so a float64 model gets the same weights exactly.
    ``skip``: glob patterns (case-sensitive, on the full key) of tensors to leave as constructed.
    ``scale``: extra factors by glob pattern, see the module's text.
    """
    done = []
    for name, tensor in state_dict.items():
        if is_filled(name, tensor.is_floating_point(), skip):
            tensor.copy_(torch.from_numpy(fill_values(name, tensor.shape, scale)))
            done.append(name)
    return done


def make_state_dict(record, dtype=torch.float32) -> dict:
    """Original-key dictionary for a golden record, without the original code.

    Holds the filled entries only; integer buffers, masks and skipped structural tensors are absent (a
    converter must not need them, or must construct them).  ``record``: a parsed JSON record.
    """
    scale = record["fill"].get("scale")
    return {
        name: torch.from_numpy(fill_values(name, shape, scale)).to(dtype)
        for name, shape, _dtype, _kind, filled in record["state_dict"]
        if filled
    }


def golden_input(shape, seed: int = 0, dtype=torch.float32) -> torch.Tensor:
    """Standard-normal input: drawn in float64 from RandomState(seed), rounded to float32, then cast."""
    values = np.random.RandomState(seed).standard_normal(tuple(shape)).astype(np.float32)
    return torch.from_numpy(values).to(dtype)


def load_record(path) -> dict:
    with open(path) as f:
        return json.load(f)


def record_input(record, dtype=torch.float32) -> torch.Tensor:
    return golden_input(record["input"]["shape"], record["input"]["seed"], dtype)


def compare(actual, expected) -> dict:
    """Largest absolute error, and that error relative to the largest expected magnitude."""
    a = torch.as_tensor(actual).detach().to(torch.float64)
    e = torch.as_tensor(expected, dtype=torch.float64)
    if a.shape != e.shape:
        raise ValueError(f"shape {tuple(a.shape)} != expected {tuple(e.shape)}")
    err = (a - e).abs().max().item()
    return {"max_abs": err, "max_rel": err / max(e.abs().max().item(), 1e-300)}
