"""Importing vitmodels adds its models to timm's registry and leaves everything that was there as it was."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import timm
from timm.models import is_model_pretrained, list_modules, model_entrypoint

import vitmodels

SNAPSHOTS = """
import json
import timm
from timm.models import get_deprecated_models, list_modules, model_entrypoint
from timm.models._registry import get_arch_pretrained_cfgs, get_pretrained_cfg

def snapshot():
    names = timm.list_models()
    return {
        "models": {name: [model_entrypoint(name).__module__, id(model_entrypoint(name))] for name in names},
        "modules": {module: timm.list_models(module=module) for module in list_modules()},
        "configurations": {name: repr(get_pretrained_cfg(name)) for name in timm.list_models(include_tags=True)},
        "tags": {name: sorted(get_arch_pretrained_cfgs(name)) for name in names},
        "deprecated": {old: repr(new) for old, new in get_deprecated_models().items()},
        "pretrained": {name: True for name in timm.list_pretrained()},
    }

before = snapshot()
import vitmodels
print(json.dumps([before, snapshot()]))
"""


@pytest.fixture(scope="module")
def registry():
    """Timm's registry before and after the import, from an interpreter in which any warning is an error."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", SNAPSHOTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_the_import_leaves_timms_own_models_as_they_were(registry):
    before, after = registry
    assert len(before["models"]) > 1000
    for kind, entries in before.items():
        assert {key: after[kind].get(key) for key in entries} == entries, kind


def test_the_import_adds_the_names_in_models_and_nothing_else(registry):
    before, after = registry
    added = {kind: set(after[kind]) - set(before[kind]) for kind in before}
    files = {model_entrypoint(name).__module__.rpartition(".")[2] for name in vitmodels.MODELS}
    assert added == {
        "models": set(vitmodels.MODELS),
        "modules": files,
        "configurations": set(vitmodels.MODELS),
        "tags": set(vitmodels.MODELS),
        "deprecated": set(),
        "pretrained": set(),
    }


def test_models_lists_what_timm_finds_each_once():
    found = timm.list_models(module="vitmodels")
    assert sorted(found) == sorted(vitmodels.MODELS)
    assert not [name for name in vitmodels.MODELS if is_model_pretrained(name)], "no weights are ours to download"


def test_timm_lists_the_models_under_a_module_of_their_own():
    theirs = {path.stem for path in (Path(timm.__file__).parent / "models").glob("*.py")}
    assert {model_entrypoint(name).__module__ for name in vitmodels.MODELS} == {"vitmodels"}
    assert "vitmodels" in list_modules()
    assert "vitmodels" not in theirs


def test_every_name_is_also_a_typed_builder_of_the_package():
    for name in vitmodels.MODELS:
        builder = getattr(vitmodels, name)
        assert (builder.__name__, builder.__module__.partition(".")[0]) == (name, "vitmodels")
        assert name in vitmodels.__all__
        assert "drop_path_rate" in builder.__annotations__
        assert builder.__doc__.splitlines()[0] == model_entrypoint(name).__doc__.splitlines()[0]
