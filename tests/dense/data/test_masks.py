"""Masks in the forms that COCO has."""

import numpy as np
import pytest

from vittasks.data.dense.masks import decode, run_lengths


def compressed(counts):
    """COCO's code of counts, as its format says: five bits a character, differences to the last but one from the third on."""
    text = ""
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        while True:
            group, value = value & 31, value >> 5
            more = not (value == 0 and not group & 16) and not (value == -1 and group & 16)
            text += chr((group | 32 if more else group) + 48)
            if not more:
                break
    return text


def test_runs_are_counted_down_the_columns_and_begin_outside():
    mask = np.array([[1, 0, 0], [1, 0, 1]], bool)
    assert run_lengths(mask) == [0, 2, 3, 1]
    assert run_lengths(~mask) == [2, 3, 1]


def test_plain_and_compressed_codes_give_the_mask_back():
    draw = np.random.default_rng(0)
    for _ in range(20):
        mask = draw.random((37, 60)) < draw.random()
        counts = run_lengths(mask)
        for form in (counts, compressed(counts)):
            assert np.array_equal(decode({"size": [37, 60], "counts": form}, 37, 60), mask)
    nearly_full = np.ones((40, 50), bool)
    nearly_full[3, 4] = False
    counts = run_lengths(nearly_full)
    assert np.array_equal(decode({"size": [40, 50], "counts": compressed(counts)}, 40, 50), nearly_full)


def test_polygons_are_filled_together():
    mask = decode([[1, 1, 4, 1, 4, 3, 1, 3], [6, 0, 8, 0, 8, 5, 6, 5]], 6, 9)
    expected = np.zeros((6, 9), bool)
    expected[1:3, 1:4] = expected[0:5, 6:8] = True
    assert np.array_equal(mask, expected)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools with numpy 2
def test_polygons_and_codes_are_those_of_pycocotools():
    theirs = pytest.importorskip("pycocotools.mask")
    draw = np.random.default_rng(0)
    for _ in range(30):
        h, w = draw.integers(20, 80, 2)
        polygons = [(draw.random((k, 2)) * [w, h]).ravel().tolist() for k in draw.integers(3, 9, 2)]
        code = theirs.merge(theirs.frPyObjects(polygons, h, w))
        assert np.array_equal(decode(polygons, int(h), int(w)), theirs.decode(code))
        text = {"size": [int(h), int(w)], "counts": code["counts"].decode()}
        assert np.array_equal(decode(text, int(h), int(w)), theirs.decode(code))


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ("text", "a list of polygons or a run-length code"),
        ([[1, 2, 3, 4]], "at least three points"),
        ([], "at least one polygon"),
        (["no"], "at least three points"),
        ([[0, 0, 1, 1, 1, float("nan")]], "coordinates are not numbers"),
        ({"size": [2, 2], "counts": [-1, 5]}, "not whole numbers of at least 0"),
        ({"size": [2, 2], "counts": "zz"}, "RLE counts exceed the mask"),
        ({"size": [2, 2], "counts": "PP"}, "RLE string is malformed"),
        ({"size": [2, 2], "counts": 4}, "not whole numbers of at least 0"),
        ({"size": 4, "counts": [4]}, "a run-length code of 4 for an image of 2 x 2"),
        ([[0, 0, 1, 1, 1, "1"]], "coordinates are not numbers"),
        ([[0, 0, 1, 1, 1e9, 1]], "leaves its image by more than the image's own size"),
        ({"size": [2, 2], "counts": [3]}, "3 pixels for an image of 2 x 2"),
        ({"size": [4, 1], "counts": [4]}, r"a run-length code of \[4, 1\] for an image of 2 x 2"),
    ],
)
def test_a_segmentation_that_is_not_a_mask_is_refused(segmentation, words):
    with pytest.raises(ValueError, match=words):
        decode(segmentation, 2, 2)
