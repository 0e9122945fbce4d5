"""Files of weights: found, read out of whatever wraps them, and named for what they are where they hold none."""

import argparse
import collections
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vitmodels import read_checkpoint

STATE = {"fc.weight": torch.randn(3, 2), "bn.running_var": torch.rand(3), "bn.num_batches_tracked": torch.tensor(3)}
SMALL = {"x": torch.zeros(1)}


def prefixed(prefix):
    return {prefix + name: value for name, value in STATE.items()}


def assert_same(read):
    assert read.keys() == STATE.keys()
    assert all(read[name].equal(STATE[name]) for name in STATE)


WRAPPED = {
    "bare": STATE,
    "state_dict": {"state_dict": STATE, "epoch": 3},
    "model": {"model": STATE, "optimizer": {"state": {0: {"exp_avg": torch.zeros(9)}}, "lr": 0.1}},
    "model_ema": {"model": prefixed("a."), "model_ema": STATE},
    "state_dict_ema": {"state_dict": prefixed("a."), "state_dict_ema": STATE},
    "teacher": {"student": prefixed("a."), "teacher": STATE},
    "net": {"net": prefixed("module."), "acc": 91.5},
    "model_state_dict": {"model_state_dict": STATE, "loss": torch.tensor(0.1)},
    "any name": {"weights_of_friday": STATE, "best": torch.tensor(1.0)},
    "two levels": {"checkpoint": {"anything": STATE}, "epoch": 3},
    "deepspeed": {"module": STATE, "dp_world_size": 8},
    "swa": {"n_averaged": torch.tensor(4), **prefixed("module.")},
    "compiled and distributed": prefixed("_orig_mod.module."),
    "sharded, with recomputed blocks": {
        name.replace(".", "._checkpoint_wrapped_module._fsdp_wrapped_module.", 1): value
        for name, value in STATE.items()
    },
    "settings and scores": {
        "model": STATE,
        "args": argparse.Namespace(lr=0.1, out=Path("runs")),
        "best": np.float64(0.9),
        "curve": np.ones(3),
    },
    "a list": [STATE, {"epoch": 3}],
    "numbers beside names": {"model": STATE, 5: "five"},
    "any prefix": prefixed("my_network."),
    "two prefixes": prefixed("model.backbone."),
    "lightning": {
        "pytorch-lightning_version": "2.5",
        "state_dict": {**prefixed("backbone."), "loss.scale": torch.ones(1)},
    },
}


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_whatever_wraps_a_state_dict_comes_off_and_averaged_weights_come_first(wrapper, tmp_path):
    torch.save(WRAPPED[wrapper], tmp_path / "weights.pth")
    assert_same(read_checkpoint(tmp_path / "weights.pth"))


@pytest.mark.parametrize("outer", [False, True])
def test_a_backbone_and_the_head_beside_it_are_one_network(outer, tmp_path):
    parts = {"backbone": STATE, "head": {"weight": torch.ones(2, 3)}}
    torch.save({"model": parts} if outer else parts, tmp_path / "file.pth")
    read = read_checkpoint(tmp_path / "file.pth")
    assert read.keys() == {*STATE, "head.weight"}
    assert read["head.weight"].equal(parts["head"]["weight"])


@pytest.mark.parametrize("names", [["stages.0.weight", "stages.1.weight"], ["head.weight", "head.bias"]])
def test_a_list_of_modules_and_a_single_layer_are_not_a_prefix(names, tmp_path):
    torch.save({f"module.{name}": torch.ones(1) for name in names}, tmp_path / "weights.pth")
    assert [*read_checkpoint(tmp_path / "weights.pth")] == names


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.bin"])
def test_safetensors_files_are_recognised_by_their_content(name, tmp_path):
    save_file(STATE, tmp_path / name)
    assert_same(read_checkpoint(str(tmp_path / name)))


def test_the_old_form_of_pytorch_is_read(tmp_path):
    torch.save(STATE, tmp_path / "weights.pt", _use_new_zipfile_serialization=False)
    assert_same(read_checkpoint(tmp_path / "weights.pt"))


@pytest.mark.parametrize("names", [["last.ckpt"], ["best.ckpt", "last.ckpt"], ["pytorch_model.bin"], ["epoch3.ckpt"]])
def test_a_directory_stands_for_its_checkpoint(names, tmp_path):
    for number, name in enumerate(names):
        torch.save(prefixed("a.") | SMALL if number else STATE, tmp_path / name)
    assert_same(read_checkpoint(tmp_path))
    assert_same(read_checkpoint(f"local-dir:{tmp_path}"))


def test_the_home_and_the_working_directory_are_understood(tmp_path, monkeypatch):
    torch.save(STATE, tmp_path / "weights.pth")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert_same(read_checkpoint("~/weights.pth"))
    monkeypatch.chdir(tmp_path)
    assert_same(read_checkpoint("weights.pth"))


BYTES = {
    "an HTML page": b"<!DOCTYPE html><html>Google Drive - Virus scan warning</html>",
    "an HTML page; the download": b"\n\n<html lang=en>",
    "a Git LFS pointer; fetch the file itself with git lfs pull": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "an XML page": b'<?xml version="1.0"?><Error>AccessDenied</Error>',
    "JSON text": b'{"message": "Not Found"}',
    "a gzip archive; unpack it first": b"\x1f\x8b\x08\x00" + bytes(20),
    "an ONNX file": b"\x08\x0a\x12\x07pytorch" + bytes(20),
    "a pickle that PyTorch did not write": pickle.dumps({"a": 1}),
    "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(20),
    "an archive; unpack it first": b"BZh91AY" + bytes(20),
    "an image": b"\x89PNG\r\n\x1a\n" + bytes(20),
    "a PDF file": b"%PDF-1.5\n\xff" + bytes(20),
    "text, which begins with 'Not found'": b"Not found\n",
}


@pytest.mark.parametrize("what", BYTES)
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_file_of_another_kind_is_named_for_what_it_is(what, name, tmp_path):
    (tmp_path / name).write_bytes(BYTES[what])
    with pytest.raises(ValueError, match=rf"{name} is not a checkpoint but {what}"):
        read_checkpoint(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b" \n\n", bytes(4096)], ids=["nothing", "blanks", "zeros"])
def test_an_empty_file_is_named(content, tmp_path):
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.pth is empty"):
        read_checkpoint(tmp_path / "weights.pth")


@pytest.mark.parametrize("new_form", [True, False])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_file_that_was_cut_short_is_named(new_form, share, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"fc.weight": torch.randn(100, 20)}, path, _use_new_zipfile_serialization=new_form)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ValueError, match=r"weights\.pth cannot be read as a checkpoint"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"model": STATE, "config": collections.UserDict(lr=0.1)}, r"collections\.UserDict"),
        (nn.Linear(2, 3), r"torch\.nn\.modules\.linear\.Linear"),
        ({"model": nn.Linear(2, 3)}, r"torch\.nn\.modules\.linear\.Linear"),
    ],
    ids=["settings", "module", "module in a mapping"],
)
def test_a_pickle_that_would_run_code_is_refused_and_says_of_which_class(content, kind, tmp_path):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(
        ValueError, match=rf"holds more than tensors and plain values: an object of the class {kind}, such as"
    ):
        read_checkpoint(tmp_path / "weights.pth")


def test_a_compiled_module_is_named(tmp_path):
    with pytest.warns(FutureWarning):
        torch.jit.script(nn.Linear(2, 3)).save(tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"weights\.pt is not a checkpoint but a TorchScript module"):
        read_checkpoint(tmp_path / "weights.pt")


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["w/archive_format", "w/data/weights.pt"], "a program of torch.export"),
        (["a.npy", "b.npy"], "a file of NumPy arrays"),
        (["weights.pth"], "a zip archive that PyTorch did not write; unpack it first"),
        ([], "a zip archive that PyTorch did not write"),
    ],
)
def test_other_archives_are_named(names, what, tmp_path):
    with zipfile.ZipFile(tmp_path / "weights.pt", "w") as archive:
        for name in names:
            archive.writestr(name, "")
    with pytest.raises(ValueError, match=rf"weights\.pt is not a checkpoint but {what}"):
        read_checkpoint(tmp_path / "weights.pt")


def test_a_checkpoint_in_pieces_is_named(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"weight_map": {}}')
    for number in (1, 2):
        save_file(STATE, tmp_path / f"model-{number}-of-2.safetensors")
    for path in (tmp_path, index):
        with pytest.raises(ValueError, match=r"a checkpoint in pieces; save its state dict in one file"):
            read_checkpoint(path)


@pytest.mark.parametrize("address", ["https://a.org/b.pth", "hf-hub:timm/x", "s3://bucket/b.pth"])
def test_an_address_is_no_file(address):
    with pytest.raises(ValueError, match=f"{address} is an address; nothing is downloaded here"):
        read_checkpoint(address)


@pytest.mark.parametrize(
    "content", [{"epoch": 3}, [torch.zeros(1)], torch.zeros(1)], ids=["no tensors", "list", "tensor"]
)
def test_a_file_without_a_state_dict_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"weights\.pth holds no state dict: expected names and tensors"):
        read_checkpoint(tmp_path / "weights.pth")


def test_two_networks_without_known_names_are_not_guessed(tmp_path):
    torch.save({"generator": STATE, "discriminator": prefixed("a.")}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"holds several state dicts \(generator, discriminator\)"):
        read_checkpoint(tmp_path / "weights.pth")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*nowhere\.pth'"):
        read_checkpoint(tmp_path / "nowhere.pth")


def test_a_directory_without_a_checkpoint_or_with_several_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"is a directory with no checkpoint; last\.ckpt or model\.safetensors"):
        read_checkpoint(tmp_path)
    for name in ("a.pth", "b.pth"):
        torch.save(STATE, tmp_path / name)
    with pytest.raises(ValueError, match=r"several checkpoints \(a\.pth, b\.pth\); name one of them"):
        read_checkpoint(tmp_path)
    (tmp_path / "last.ckpt").mkdir()
    with pytest.raises(ValueError, match=r"last\.ckpt is a checkpoint in pieces"):
        read_checkpoint(tmp_path)
