"""Scenes on disk: what is drawn, in which formats, and that they are written once."""

import json

import numpy as np
import pytest
from PIL import Image

from vittasks import DigitDetection, SceneRecipe
from vittasks.data.dense.masks import decode
from vittasks.data.dense.written_scenes import draw_scene, write_scenes
from vittasks.data.digit_composites import split_sources

RECIPE = SceneRecipe(training=4, validation=2, test=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_scenes(RECIPE, tmp_path_factory.mktemp("scenes"))


def test_labels_objects_and_images_tell_the_same(folder):
    for split, count in (("training", 4), ("validation", 2), ("test", 3)):
        content = json.loads((folder / f"instances_{split}.json").read_text())
        assert len(content["images"]) == count == len(list((folder / "images" / split).glob("*.png")))
        for entry in content["images"]:
            label = np.array(Image.open(folder / "annotations" / split / entry["file_name"]))
            of_objects = np.ones_like(label)
            objects = [one for one in content["annotations"] if one["image_id"] == entry["id"]]
            for one in objects:
                mask = decode(one["segmentation"], *label.shape)
                x, y, w, h = one["bbox"]
                assert mask.sum() == one["area"] == mask[y : y + h, x : x + w].sum()
                assert mask[y].any() and mask[y + h - 1].any() and mask[:, x].any() and mask[:, x + w - 1].any()  # noqa: PT018
                of_objects[mask] = one["category_id"] + 1
            assert 1 <= len(objects) <= 7
            assert np.array_equal(label, of_objects)


def test_digits_do_not_share_pixels_and_are_of_their_own_split():
    sources = [set(split_sources(split).tolist()) for split in ("train", "validation", "test")]
    assert not sources[0] & sources[1] | sources[0] & sources[2]
    for index in range(20):
        assert draw_scene(RECIPE, "training", index).masks.sum(0).max() == 1


def test_a_scene_is_drawn_from_its_own_stream_and_written_once(folder):
    again = write_scenes(RECIPE, folder.parent)
    assert again == folder
    image = np.array(Image.open(folder / "images/test/000002.png"))
    assert np.array_equal(draw_scene(SceneRecipe(), "test", 2).image, image)
    assert not np.array_equal(draw_scene(SceneRecipe(seed=1), "test", 2).image, image)
    assert not list(folder.parent.glob(".unfinished*"))


def test_a_recipe_that_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match=r"digit_side must rise within 8\.\.side, got digit_side=\(14, 70\), side=64"):
        SceneRecipe(digit_side=(14, 70))


def test_the_written_digits_are_read_as_objects(tmp_path):
    data = DigitDetection(str(tmp_path), SceneRecipe(training=4, validation=1, test=1), batch_size=2)
    data.check_data()
    assert not list(tmp_path.iterdir())  # a plan writes nothing
    data.prepare_data()
    data.setup("fit")
    images, targets = next(iter(data.train_dataloader()))
    assert [one.shape for one in images] == [(1, 64, 64)] * 2
    for target in targets:
        for box, mask in zip(target["boxes"], target["masks"], strict=True):
            rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
            assert box.tolist() == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
