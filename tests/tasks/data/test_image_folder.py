import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.tasks.data.trees import cut_in_half, write_tree
from vittasks import ImageFolder
from vittasks.data.damaged import DamagedImageError

CLASSES = ("ant", "bee", "cat")


def write_images(folder: Path, per_class: int, seed: int) -> None:
    stream = np.random.default_rng(seed)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            pixels = stream.integers(256, size=(5, 6, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((48, 40), Image.Resampling.BICUBIC).save(folder / name / f"{number}.JPEG")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder / "train", per_class=6, seed=0)
    write_images(folder / "val", per_class=2, seed=1)
    return folder


def prepared(root: Path, stage: str = "fit", workers: int = 0, seed: int = 0, repeats: int = 1) -> ImageFolder:
    data = ImageFolder(str(root), img_size=32, batch_size=4, workers=workers, seed=seed, repeats=repeats)
    data.setup(stage)
    return data


def epochs(data: ImageFolder, count: int) -> list[tuple[Tensor, Tensor]]:
    loader = data.train_dataloader()
    batches = []
    for epoch in range(count):
        loader.sampler.set_epoch(epoch)
        batches += list(loader)
    return batches


def test_training_batches_are_full_and_of_the_size_asked_for(root):
    batches = epochs(prepared(root), count=1)
    assert [images.shape for images, _ in batches] == [(4, 3, 32, 32)] * 4
    assert {images.dtype for images, _ in batches} == {torch.float32}
    assert {labels.dtype for _, labels in batches} == {torch.int64}


def test_classes_are_the_sorted_folder_names_and_labels_their_places(root):
    data = prepared(root)
    assert data.splits["train"].classes == list(CLASSES)
    assert torch.cat([labels for _, labels in data.val_dataloader()]).tolist() == [0, 0, 1, 1, 2, 2]
    dataset = data.train_dataloader().dataset
    assert [dataset[0, index][1] for index in range(18)] == [0] * 6 + [1] * 6 + [2] * 6


def test_the_number_of_classes_is_known_before_setup(root):
    assert ImageFolder(str(root)).num_classes == 3


def test_training_batches_are_the_same_for_any_number_of_workers(root):
    alone = epochs(prepared(root), count=2)
    shared = epochs(prepared(root, workers=2), count=2)
    for (images, labels), (images_2, labels_2) in zip(alone, shared, strict=True):
        assert torch.equal(images, images_2)
        assert torch.equal(labels, labels_2)


def test_the_augmentation_depends_on_each_of_seed_epoch_and_copy(root):
    dataset = prepared(root).train_dataloader().dataset
    reference = dataset[0, 0][0]
    assert torch.equal(dataset[0, 0][0], reference)
    assert not torch.equal(dataset[1, 0][0], reference)
    assert not torch.equal(dataset[0, 18][0], reference)
    assert not torch.equal(prepared(root, seed=1).train_dataloader().dataset[0, 0][0], reference)


def test_augmenting_draws_nothing_from_the_global_stream(root):
    dataset = prepared(root).train_dataloader().dataset
    torch.manual_seed(0)
    expected = torch.rand(())
    torch.manual_seed(0)
    dataset[0, 0]
    assert torch.rand(()) == expected


def test_repeats_show_fewer_images_in_several_versions_and_keep_the_length(root):
    data = prepared(root, repeats=2)
    loader = data.train_dataloader()
    indices = [index for _, index in loader.sampler]
    assert len(indices) == 18
    assert len({index % 18 for index in indices}) == 9
    first, second = (loader.dataset[0, index] for index in indices[:2])
    assert first[1] == second[1]
    assert not torch.equal(first[0], second[0])


def test_the_evaluation_shows_every_image_once_and_the_same_each_time(root):
    data = prepared(root, stage="validate")
    first, again = (torch.cat([images for images, _ in data.val_dataloader()]) for _ in range(2))
    assert first.shape == (6, 3, 32, 32)
    assert torch.equal(first, again)


def test_the_test_set_is_the_validation_set_unless_there_is_a_test_folder(root, tmp_path):
    assert len(prepared(root, stage="test").test_dataloader().dataset) == 6
    for split, per_class in (("train", 1), ("val", 2), ("test", 3)):
        write_images(tmp_path / split, per_class, seed=2)
    assert len(prepared(tmp_path, stage="test").test_dataloader().dataset) == 9


def test_missing_folders_are_named_with_the_layout_expected(root, tmp_path):
    layout = r"; expected .*/train/<class>/\*\.JPEG and .*/val/<class>/\*\.JPEG\.$"
    with pytest.raises(ValueError, match=rf"^ImageFolder: no folder {tmp_path}/absent{layout}"):
        prepared(tmp_path / "absent")
    with pytest.raises(ValueError, match=rf"^ImageFolder: no folder {tmp_path}/train{layout}"):
        prepared(tmp_path)
    with pytest.raises(ValueError, match=rf"^ImageFolder: no folder {tmp_path}/train{layout}"):
        ImageFolder(str(tmp_path)).num_classes  # noqa: B018
    (tmp_path / "train").mkdir()
    with pytest.raises(
        ValueError,
        match=rf"^ImageFolder: no class folder in {tmp_path}/train; expected {tmp_path}/train/<class>/\*\.JPEG\.$",
    ):
        prepared(tmp_path)
    (tmp_path / "train").rmdir()
    (tmp_path / "train").symlink_to(root / "train")
    beside = layout.removesuffix(r"\.$") + rf"; {tmp_path} holds train, valid\.$"
    (tmp_path / "valid").mkdir()
    with pytest.raises(ValueError, match=rf"^ImageFolder: no folder {tmp_path}/val{beside}"):
        prepared(tmp_path)


def test_a_class_without_images_is_named(tmp_path):
    write_images(tmp_path / "train", per_class=1, seed=0)
    (tmp_path / "train" / "dog").mkdir()
    with pytest.raises(ValueError, match=r"every class folder in .*/train must hold images, but dog holds none\.$"):
        prepared(tmp_path)
    (tmp_path / "train" / "dog" / "0.heic").touch()
    with pytest.raises(ValueError, match=r"but dog holds none: .*/train/dog holds \.heic, and what is read is \.jpg, "):
        prepared(tmp_path)


def test_validation_classes_that_differ_from_the_training_s_are_named(tmp_path):
    for split in ("train", "val"):
        write_images(tmp_path / split, per_class=1, seed=0)
    (tmp_path / "val" / "bee").rename(tmp_path / "val" / "wasp")
    with pytest.raises(
        ValueError, match=r"must hold the class folders of .*/train, but lacks bee and has wasp beside them\."
    ):
        prepared(tmp_path)


def test_the_fingerprint_follows_names_and_sizes_and_not_the_place(root, tmp_path):
    copy = Path(shutil.copytree(root, tmp_path / "elsewhere"))
    data = ImageFolder(str(copy), img_size=48, seed=1)
    first = data.fingerprint()
    assert first == ImageFolder(str(root)).fingerprint()
    (copy / "train" / "ant" / "0.JPEG").rename(copy / "train" / "ant" / "9.JPEG")
    renamed = data.fingerprint()
    (copy / "val" / "ant" / "0.JPEG").write_bytes(b"")
    emptied = data.fingerprint()
    (copy / "test" / "ant").mkdir(parents=True)
    assert data.fingerprint() == emptied
    (copy / "test" / "ant" / "0.JPEG").write_bytes(b"")
    assert len({first, renamed, emptied, data.fingerprint()}) == 4


def test_a_folder_below_home_is_found(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root.parent))
    assert ImageFolder(f"~/{root.name}").num_classes == 3


def test_hidden_folders_and_files_are_neither_classes_nor_images_nor_part_of_the_fingerprint(tmp_path):
    write_tree(tmp_path)
    fingerprint = ImageFolder(str(tmp_path)).fingerprint()
    for folder in (".ipynb_checkpoints", "__MACOSX", "ant/.thumbnails"):
        (tmp_path / "train" / folder).mkdir()
        shutil.copy(tmp_path / "train" / "ant" / "0.jpg", tmp_path / "train" / folder / "0.jpg")
    (tmp_path / "train" / "ant" / "._0.jpg").write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "val" / ".DS_Store").write_bytes(b"")
    data = checked(tmp_path)
    assert data.num_classes == 3
    assert len(data.train_dataloader().dataset) == 6
    assert data.fingerprint() == fingerprint


def checked(root: Path, **arguments: object) -> ImageFolder:
    data = ImageFolder(str(root), img_size=32, **({"batch_size": 2, "workers": 0} | arguments))
    data.check_data()
    data.setup("fit")
    return data


def test_a_test_folder_without_classes_is_refused_before_the_training_with_the_way_out(tmp_path):
    write_tree(tmp_path)
    (tmp_path / "test").mkdir()
    shutil.copy(tmp_path / "val" / "ant" / "0.jpg", tmp_path / "test" / "0.jpg")
    with pytest.raises(
        ValueError, match=rf"no class folder in {tmp_path}/test, .* no labels; .* data.test_split: val scores"
    ):
        checked(tmp_path)
    data = checked(tmp_path, test_split="val")
    data.setup("test")
    assert len(data.test_dataloader().dataset) == 6


@pytest.mark.parametrize("missing", ["a class", "the images of a class"])
def test_an_incomplete_test_folder_is_refused_before_the_training(missing, tmp_path):
    write_tree(tmp_path, ("train", "val", "test"))
    shutil.rmtree(tmp_path / "test" / "bee")
    if missing != "a class":
        (tmp_path / "test" / "bee").mkdir()
    with pytest.raises(ValueError, match=rf"{tmp_path}/test must hold .*bee.*data.test_split: val scores"):
        checked(tmp_path)


def test_a_batch_larger_than_the_training_set_is_refused_before_the_training(tmp_path):
    write_tree(tmp_path)
    with pytest.raises(ValueError, match=r"^data.batch_size must not exceed the 6 samples .* got batch_size=7\.$"):
        checked(tmp_path, batch_size=7)


def test_damaged_images_are_refused_before_the_training_by_file_and_class(tmp_path):
    write_tree(tmp_path)
    cut = cut_in_half(tmp_path / "train" / "cat" / "1.jpg")
    empty = tmp_path / "val" / "ant" / "0.jpg"
    empty.write_bytes(b"")
    with pytest.raises(ValueError, match=rf"{cut} of class cat \(image file is truncated.*data.on_damaged to skip"):
        checked(tmp_path)
    cut.unlink()
    with pytest.raises(ValueError, match=rf"{empty} of class ant \(it is not an image\)"):
        checked(tmp_path)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_an_image_that_is_found_damaged_in_the_training_is_named(workers, tmp_path):
    write_tree(tmp_path)
    data = checked(tmp_path, workers=workers, batch_size=6)
    cut = cut_in_half(tmp_path / "train" / "cat" / "1.jpg")
    with pytest.raises(DamagedImageError, match=rf"cannot read {cut} of class cat \(image file is truncated"):
        list(data.train_dataloader())


def test_damaged_images_are_left_out_and_counted_where_that_is_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_tree(tmp_path / "data")
    cut = cut_in_half(tmp_path / "data" / "train" / "cat" / "1.jpg")
    data = checked(tmp_path / "data", on_damaged="skip")
    assert data.skipped["train"] == [str(cut)]
    assert len(data.train_dataloader().dataset) == 5
    assert len(list(data.train_dataloader())) == 2
    # What was found is remembered: no file is decoded again.
    monkeypatch.setattr("vittasks.data.damaged.find_damaged", None)
    assert checked(tmp_path / "data", on_damaged="skip").skipped["train"] == [str(cut)]


def test_a_class_of_damaged_images_alone_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_tree(tmp_path / "data", per_class=1)
    cut_in_half(tmp_path / "data" / "train" / "cat" / "0.jpg")
    with pytest.raises(
        ValueError, match=r"all images of class cat in .*train are damaged, such as .*0.jpg: image file"
    ):
        checked(tmp_path / "data", on_damaged="skip")


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_batches_have_the_channels_that_are_asked_for(channels, tmp_path):
    write_tree(tmp_path)
    data = checked(tmp_path, channels=channels)
    assert data.image_shape == (channels, 32, 32)
    for loader in (data.train_dataloader(), data.val_dataloader()):
        assert next(iter(loader))[0].shape == (2, channels, 32, 32)


def test_a_number_of_channels_that_the_files_cannot_fill_is_refused_before_the_training(tmp_path):
    write_tree(tmp_path)
    with pytest.raises(ValueError, match=r"it has 3 channels, which do not fill data.channels: 4"):
        checked(tmp_path, channels=4)
    with pytest.raises(ValueError, match=r"data.mean holds 2 numbers, but data.channels is 6: give one for each\."):
        checked(tmp_path, channels=6, mean=(0.5, 0.5))


def test_classes_that_differ_in_16_bits_alone_differ_in_the_batch(tmp_path):
    for split in ("train", "val"):
        for name, value in (("benign", 2000), ("malign", 40000)):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(2):
                pixels = np.full((32, 32), value, dtype=np.uint16)
                Image.fromarray(pixels).save(tmp_path / split / name / f"{number}.png")
    data = checked(tmp_path, re_prob=0.0, mean=(0.0,), std=(1.0,))
    for loader in (data.train_dataloader(), data.val_dataloader()):
        for images, labels in loader:
            expected = torch.tensor([2000.0, 40000.0])[labels] / 65535
            assert torch.allclose(images, expected[:, None, None, None], atol=1e-6)
