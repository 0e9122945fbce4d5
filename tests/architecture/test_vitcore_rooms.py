"""The rooms of vitcore: a reader who knows the name of an op finds its file, and a room holds nothing else."""

import ast
import inspect
from pathlib import Path

import pytest
from torch import nn

import vitcore

SOURCE = Path(vitcore.__file__).parent
ROOMS = [path.parent for path in SOURCE.rglob("__init__.py") if path.parent != SOURCE]

SHARED = {
    "op": "the base of every op, and the empty slot",
    "convolution": "torch's convolution for grids, and its depth-wise form",
    "norm": "torch's BatchNorm for grids",
    "attention.qkv_projection": "the projections that an attention can be given, and their base",
    "position.window_position": "the base of the positions in a window, and the one that adds nothing",
}
"""Files that are named after an idea and not after one class, with the idea."""

REUSE = {
    "attention.stripes.vanilla_pale_attention": {"attention.stripes.pale_attention"},  # how a pale is written
    "attention.windows.messenger_attention": {"attention.windows.messenger_exchange"},  # it contains the exchange
    "attention.windows.nested_transformer": {"feed_forward.mlp"},  # its default feed-forward
}
"""Attentions that build on the file of another op."""


def public_classes() -> list[type]:
    values = (getattr(vitcore, name) for name in vitcore.__all__)
    return [value for value in values if inspect.isclass(value) and issubclass(value, nn.Module)]


def stem(module: str) -> str:
    return module.removeprefix("vitcore.")


OP_FILES = {stem(cls.__module__) for cls in public_classes() if issubclass(cls, vitcore.FeatureOp)} - {"op"}


@pytest.mark.parametrize("cls", public_classes(), ids=lambda cls: cls.__name__)
def test_a_public_class_lies_in_a_room_in_the_file_of_its_name(cls):
    module = stem(cls.__module__)
    if module not in SHARED:
        room, _, file = module.rpartition(".")
        assert SOURCE / room.replace(".", "/") in ROOMS
        assert file.replace("_", "") == cls.__name__.lower()


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(SOURCE)))
def test_a_room_says_what_it_holds_and_nothing_else(room):
    (docstring,) = ast.parse((room / "__init__.py").read_text()).body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(docstring.value, ast.Constant)


def test_an_attention_imports_the_file_of_another_op_only_where_it_builds_on_that_op():
    reused = {}
    for path in (SOURCE / "attention").rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        imported = {stem(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
        if others := imported & OP_FILES:
            reused[".".join(path.relative_to(SOURCE).with_suffix("").parts)] = others
    assert reused == REUSE
