"""Data sets of other packages and formats from a folder: the same images and classes come out as went in."""

import io
import shutil
import sys
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from tests.tasks.data.trees import CLASSES, write_tree
from vittasks import HuggingFaceImages, ImageFolder, LitDataImages, TarShards, TorchvisionImages

SMALL = {"img_size": 16, "batch_size": 2, "workers": 0}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("animals"))


@pytest.fixture(autouse=True)
def _caches(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def batches(data):
    """All images and labels of two epochs of the training and of the validation."""
    data.check_data()
    data.setup("fit")
    loader = data.train_dataloader()
    found = []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        found += list(loader)
    return [*found, *data.val_dataloader()]


def assert_same(data, tree):
    reference = ImageFolder(str(tree), **SMALL)
    assert data.num_classes == reference.num_classes
    assert getattr(data, "class_names", reference.class_names) == reference.class_names
    for (images, labels), (images_2, labels_2) in zip(batches(data), batches(reference), strict=True):
        assert torch.equal(images, images_2)
        assert torch.equal(labels, labels_2)


def write_shards(tree, root, per_shard=4):
    for split in ("train", "val"):
        (root / split).mkdir(parents=True)
        files = sorted((tree / split).glob("*/*.jpg"))
        for start in range(0, len(files), per_shard):
            with tarfile.open(root / split / f"{start:06}.tar", "w") as shard:
                for path in files[start : start + per_shard]:
                    key = f"{path.parent.name}/{path.stem}"
                    shard.add(path, f"{key}.jpg")
                    number = str(CLASSES.index(path.parent.name)).encode()
                    head = tarfile.TarInfo(f"{key}.cls")
                    head.size = len(number)
                    shard.addfile(head, io.BytesIO(number))
    return root


def test_tar_shards_give_the_batches_of_the_folder_that_they_were_made_of(tree, tmp_path):
    root = write_shards(tree, tmp_path / "shards")
    assert_same(TarShards(str(root), **SMALL), tree)
    # The heads are remembered, and the fingerprint does not depend on the place.
    moved = shutil.copytree(root, tmp_path / "moved")
    assert TarShards(str(moved), **SMALL).fingerprint() == TarShards(str(root), **SMALL).fingerprint()
    assert_same(TarShards(str(root), **SMALL), tree)


def test_shards_that_cannot_be_used_are_named(tree, tmp_path):
    root = write_shards(tree, tmp_path / "shards")
    with tarfile.open(root / "val" / "000009.tar", "w") as shard:
        shard.add(tree / "val" / "ant" / "0.jpg", "lonely.jpg")
    with pytest.raises(ValueError, match=r"sample lonely in .*000009.tar has no class \(lonely.cls\)"):
        TarShards(str(root), **SMALL).check_data()
    with tarfile.open(root / "val" / "000009.tar", "w") as shard:
        head = tarfile.TarInfo("lonely.cls")
        head.size = 3
        shard.addfile(head, io.BytesIO(b"ant"))
    with pytest.raises(ValueError, match=r"000009.tar .*: lonely.cls holds 'ant', which is no number of a class\.$"):
        TarShards(str(root), **SMALL).check_data()
    (root / "val" / "000009.tar").write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"000009.tar cannot be read as a tar file"):
        TarShards(str(root), **SMALL).check_data()
    shutil.rmtree(root / "val")
    with pytest.raises(ValueError, match=r"TarShards: no shards .*/val/\*\.tar; expected"):
        TarShards(str(root), **SMALL).check_data()


def test_torchvision_s_data_sets_are_read_by_their_class_path(tree):
    data = TorchvisionImages(f"{__name__}.Animals", str(tree), val={"split": "val"}, test={"split": "val"}, **SMALL)
    assert_same(data, tree)
    gray = TorchvisionImages(f"{__name__}.Animals", str(tree), test={"split": "val"}, channels=1, **SMALL)
    assert batches(gray)[0][0].shape == (2, 1, 16, 16)


class Animals(Dataset):
    """A data set as torchvision has them."""

    def __init__(self, root, split, download=False):
        if split not in ("train", "val"):
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        self.files = sorted((tree_of(root) / split).glob("*/*.jpg"))
        self.classes = list(CLASSES)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        return Image.open(self.files[index]), CLASSES.index(self.files[index].parent.name)


def tree_of(root):
    from pathlib import Path

    return Path(root)


@pytest.fixture(scope="module")
def stream(tree, tmp_path_factory):
    """The tree as a stream of litdata, written by what ``litdata.optimize`` writes with, without its processes."""
    writer = pytest.importorskip("litdata.streaming.writer")
    place = tmp_path_factory.mktemp("stream")
    for split in ("train", "val"):
        chunks = writer.BinaryWriter(str(place / split), chunk_size=4)
        for number, path in enumerate(sorted((tree / split).glob("*/*.jpg"))):
            chunks[number] = {"image": path.read_bytes(), "label": CLASSES.index(path.parent.name)}
        chunks.done()
        chunks.merge()
    return place


@pytest.mark.filterwarnings("ignore")
def test_a_stream_of_litdata_gives_every_image_once_an_epoch(stream, tree):
    data = LitDataImages(str(stream), classes=3, **SMALL)
    data.check_data()
    train = list(data.train_dataloader())
    assert sorted(torch.cat([labels for _, labels in train]).tolist()) == [0, 0, 1, 1, 2, 2]
    again = list(LitDataImages(str(stream), classes=3, **SMALL).train_dataloader())
    assert all(torch.equal(first[0], second[0]) for first, second in zip(train, again, strict=True))
    reference = ImageFolder(str(tree), **SMALL).val_dataloader()
    for (images, labels), (images_2, labels_2) in zip(data.val_dataloader(), reference, strict=True):
        assert torch.equal(images, images_2)
        assert torch.equal(labels, labels_2)


def test_a_stream_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"LitDataImages: no stream in .*/train; litdata.optimize writes one"):
        LitDataImages(str(tmp_path), classes=3, **SMALL).check_data()


def test_a_data_set_is_a_class_of_data_sets_and_nothing_else_is_called(tmp_path):
    (tmp_path / "hubconf.py").write_text(f"open({str(tmp_path / 'hacked')!r}, 'w').close()\ndef load(**given): pass\n")
    call = {"repo_or_dir": str(tmp_path), "model": "load", "source": "local"}
    with pytest.raises(ValueError, match=r"'torch.hub.load'; expected a class of torch.utils.data.Dataset"):
        TorchvisionImages("torch.hub.load", str(tmp_path), train=call, **SMALL).check_data()
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize(
    ("dataset", "arguments", "message"),
    [
        (
            "torchvision.datasets.Nonesuch",
            {},
            "data.dataset is 'torchvision.datasets.Nonesuch', which cannot be imported",
        ),
        (
            "torchvision.datasets.CIFAR10",
            {"train": {"train": True}},
            r"cannot be read from .*: Dataset not found or corrupted",
        ),
        (f"{__name__}.Animals", {"test": {"split": "test"}}, r"with {'split': 'test'} cannot be read from"),
        (f"{__name__}.Animals", {"train": {"splt": "train"}}, "unexpected keyword argument 'splt'"),
    ],
)
def test_a_data_set_that_cannot_be_made_says_why(dataset, arguments, message, tree):
    with pytest.raises(ValueError, match=rf"^TorchvisionImages: .*{message}"):
        TorchvisionImages(dataset, str(tree), **({"test": {"split": "val"}} | arguments), **SMALL).check_data()


@pytest.fixture(scope="module")
def saved(tree, tmp_path_factory):
    datasets = pytest.importorskip("datasets")
    place = tmp_path_factory.mktemp("saved")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASSES))})
    splits = {}
    for split, name in (("train", "train"), ("val", "validation")):
        files = sorted((tree / split).glob("*/*.jpg"))
        rows = {
            "image": [{"bytes": path.read_bytes(), "path": None} for path in files],
            "label": [CLASSES.index(path.parent.name) for path in files],
        }
        splits[name] = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict(splits).save_to_disk(str(place))
    return place


@pytest.mark.filterwarnings("ignore")
def test_a_data_set_of_hugging_face_gives_the_batches_of_the_folder(saved, tree):
    assert_same(HuggingFaceImages(str(saved), **SMALL), tree)


@pytest.mark.filterwarnings("ignore")
def test_what_is_missing_in_a_data_set_of_hugging_face_is_named(saved, tmp_path):
    for arguments, message in (
        ({"image": "picture"}, "split train of .* has no column picture; it has image, label"),
        ({"test_split": "minitest"}, "has no split minitest; it has train, validation"),
    ):
        with pytest.raises(ValueError, match=message):
            HuggingFaceImages(str(saved), **arguments, **SMALL).check_data()
    with pytest.raises(ValueError, match="HuggingFaceImages: no folder"):
        HuggingFaceImages(str(tmp_path / "nowhere"), **SMALL).check_data()


def test_a_package_that_is_not_installed_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "litdata", None)
    monkeypatch.delitem(sys.modules, "vittasks.data.litdata_samples", raising=False)
    with pytest.raises(ValueError, match=r'litdata is not installed; pip install "vittasks\[litdata\]" adds it'):
        LitDataImages(str(tmp_path), 3, **SMALL).check_data()
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r'datasets is not installed; pip install "vittasks\[huggingface\]" adds it'):
        HuggingFaceImages(str(tmp_path), **SMALL).check_data()


def test_a_damaged_image_in_a_shard_is_named(tree, tmp_path):
    root = write_shards(tree, tmp_path / "shards")
    shard = root / "train" / "000000.tar"
    with tarfile.open(shard) as members:
        begin = next(iter(members)).offset_data
    content = np.fromfile(shard, dtype=np.uint8)
    content[begin : begin + 100] = 0
    content.tofile(shard)
    with pytest.raises(
        ValueError, match=rf"the image at byte {begin} of {shard}, of class 0, cannot be read: it is not an image"
    ):
        batches(TarShards(str(root), **SMALL))
