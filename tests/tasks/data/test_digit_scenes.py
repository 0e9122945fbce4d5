import math

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from vittasks import DigitScenes
from vittasks.data.digit_composites import (
    MEAN,
    STD,
    Recipe,
    compose,
    draw_layout,
    fixed_composites,
    load_sources,
    render,
    split_sources,
)

RECIPE = Recipe()
SPLITS = ("train", "validation", "test")


def items(epoch: int, count: int) -> list[tuple[int, int]]:
    return [(epoch, index) for index in range(count)]


def test_the_splits_share_no_source_image_and_use_all_of_them():
    sources = np.concatenate([split_sources(split) for split in SPLITS])
    assert [len(split_sources(split)) for split in SPLITS] == [1297, 250, 250]
    assert sorted(sources) == list(range(1797))


def test_held_out_splits_hold_25_sources_of_each_class():
    classes = load_sources()[1]
    assert np.bincount(classes[split_sources("validation")]).tolist() == [25] * 10
    assert np.bincount(classes[split_sources("test")]).tolist() == [25] * 10


def test_the_split_is_the_same_on_every_machine():
    assert split_sources("validation")[:8].tolist() == [4, 5, 12, 13, 28, 31, 37, 45]
    assert split_sources("test")[:8].tolist() == [0, 20, 22, 30, 38, 42, 43, 44]


@pytest.mark.parametrize("split", SPLITS)
def test_digit_and_pieces_of_a_composite_come_from_its_split(split):
    layout = draw_layout(RECIPE, split, seed=3, items=items(epoch=2, count=1297))
    pool = set(split_sources(split).tolist())
    assert set(layout.digit.tolist()) == pool
    assert set(layout.pieces.flatten().tolist()) <= pool


def test_no_piece_of_a_composite_is_cut_from_its_own_digit():
    layout = draw_layout(RECIPE, "validation", seed=3, items=items(epoch=0, count=2000))
    assert layout.pieces.shape == (2000, 6)
    assert not (layout.pieces == layout.digit[:, None]).any()


def test_the_digit_lies_whole_on_the_canvas_at_the_scales_and_angles_asked_for():
    layout = draw_layout(RECIPE, "train", seed=0, items=items(epoch=0, count=1297))
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) / 2 * layout.side[:, None, None]
    cos, sin = np.cos(layout.angle), np.sin(layout.angle)
    turned = np.einsum("nij,nkj->nki", np.array([[cos, sin], [-sin, cos]]).transpose(2, 0, 1), corners)
    places = layout.centre[:, None] + turned
    assert places.min() >= -1e-9
    assert places.max() <= 32 + 1e-9
    assert layout.side.min() == pytest.approx(0.45 * 32, abs=0.05)
    assert layout.side.max() == pytest.approx(0.65 * 32, abs=0.05)
    assert np.abs(layout.angle).max() == pytest.approx(0.4, abs=0.01)


def bilinear(image: np.ndarray, y: float, x: float) -> float:
    """The ink at a point of a source, whose pixel centres have integer coordinates and which is blank outside."""
    ink = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < 8 and 0 <= column < 8:
                ink += (1 - abs(y - row)) * (1 - abs(x - column)) * float(image[row, column])
    return ink


def test_a_composite_equals_a_loop_over_its_pixels():
    recipe = Recipe(canvas=20, clutter=3, clutter_side=5)
    layout = draw_layout(recipe, "test", seed=0, items=items(epoch=0, count=4))
    composites = render(recipe, layout)
    images = load_sources()[0]
    for n in range(4):
        cos, sin = math.cos(layout.angle[n]), math.sin(layout.angle[n])
        for i in range(20):
            for j in range(20):
                y, x = (i + 0.5 - layout.centre[n, 0]), (j + 0.5 - layout.centre[n, 1])
                y, x = (cos * y - sin * x) * 8 / layout.side[n], (cos * x + sin * y) * 8 / layout.side[n]
                ink = bilinear(images[layout.digit[n]], y + 3.5, x + 3.5)
                for piece in range(3):
                    u, v = np.array([i, j]) - layout.paste[n, piece]
                    if 0 <= u < 5 and 0 <= v < 5:
                        top, left = layout.cut[n, piece]
                        ink = max(ink, float(images[layout.pieces[n, piece], top + u, left + v]))
                assert composites[n, 0, i, j].item() == pytest.approx((ink - MEAN) / STD, abs=1e-4)


def test_without_clutter_turn_and_enlargement_a_composite_is_its_source_under_the_source_s_class():
    recipe = Recipe(canvas=8, digit_scale=(1.0, 1.0), max_angle=0.0, clutter=0, clutter_side=1)
    composites, labels = compose(recipe, "test", seed=0, items=items(epoch=0, count=250))
    images, classes = load_sources()
    torch.testing.assert_close(composites[:, 0] * STD + MEAN, torch.from_numpy(images[split_sources("test")]))
    assert labels.tolist() == classes[split_sources("test")].tolist()


def test_an_epoch_shows_each_training_source_as_often_as_there_are_passes():
    dataset = DigitScenes(passes=2).train_dataloader().dataset
    assert len(dataset) == 2 * 1297
    layout = draw_layout(RECIPE, "train", seed=0, items=items(epoch=0, count=len(dataset)))
    assert np.unique(layout.digit, return_counts=True)[1].tolist() == [2] * 1297
    assert not torch.equal(dataset[0][0], dataset[1297][0])
    assert dataset[0][1] == dataset[1297][1]


def test_a_composite_has_the_same_bits_in_any_batch_and_with_any_number_of_threads():
    whole, labels = compose(RECIPE, "train", seed=1, items=items(epoch=2, count=150))
    threads = torch.get_num_threads()
    try:
        for size, count in [(1, 1), (7, 2), (64, 1)]:
            torch.set_num_threads(count)
            parts = [compose(RECIPE, "train", 1, items(2, 150)[i : i + size]) for i in range(0, 150, size)]
            assert torch.equal(torch.cat([part for part, _ in parts]), whole)
            assert torch.equal(torch.cat([part for _, part in parts]), labels)
    finally:
        torch.set_num_threads(threads)


def test_training_batches_are_the_same_for_any_number_of_workers():
    def epochs(workers: int) -> list[list[Tensor]]:
        loader = DigitScenes(batch_size=200, seed=4, workers=workers).train_dataloader()
        batches = []
        for epoch in range(2):
            loader.sampler.set_epoch(epoch)
            batches += list(loader)
        return batches

    alone = epochs(workers=0)
    assert len(alone) == 2 * (1297 // 200)
    for (images, labels), (images_2, labels_2) in zip(alone, epochs(workers=2), strict=True):
        assert torch.equal(images, images_2)
        assert torch.equal(labels, labels_2)


def test_a_training_composite_depends_on_each_of_seed_epoch_and_index():
    def composite(seed: int, epoch: int, index: int) -> Tensor:
        return DigitScenes(seed=seed).train_dataloader().dataset[epoch, index][0]

    reference = composite(0, 0, 0)
    assert torch.equal(composite(0, 0, 0), reference)
    for triple in [(1, 0, 0), (0, 1, 0), (0, 0, 1)]:
        assert not torch.equal(composite(*triple), reference)


def test_validation_and_test_sets_do_not_depend_on_the_seed():
    for loader in ("val_dataloader", "test_dataloader"):
        batches = [next(iter(getattr(DigitScenes(seed=seed), loader)())) for seed in (0, 5)]
        assert torch.equal(batches[0][0], batches[1][0])
        assert torch.equal(batches[0][1], batches[1][1])
    fixed_composites.cache_clear()
    assert torch.equal(next(iter(DigitScenes(seed=6).test_dataloader()))[0], batches[0][0])


def test_validation_and_test_sets_hold_2000_composites_in_equal_classes():
    scenes = DigitScenes()
    for loader in (scenes.val_dataloader(), scenes.test_dataloader()):
        images, labels = map(torch.cat, zip(*loader, strict=True))
        assert images.shape == (2000, 1, 32, 32)
        assert torch.bincount(labels).tolist() == [200] * 10
        assert len(torch.unique(images, dim=0)) == 2000


def test_a_smaller_validation_set_is_the_start_of_the_whole_one():
    images, labels = next(iter(DigitScenes(val_size=30).val_dataloader()))
    whole, whole_labels = fixed_composites(RECIPE, "validation", 2000)
    assert torch.equal(images, whole[:30])
    assert torch.equal(labels, whole_labels[:30])


def test_the_default_composites_have_mean_0_and_standard_deviation_1():
    for split in SPLITS:
        composites, _ = compose(RECIPE, split, seed=0, items=items(epoch=0, count=1000))
        assert composites.mean().item() == pytest.approx(0, abs=0.03)
        assert composites.std().item() == pytest.approx(1, abs=0.03)


def test_batches_have_the_channels_and_canvas_asked_for():
    scenes = DigitScenes(canvas=40, channels=3, batch_size=16)
    images, labels = next(iter(scenes.train_dataloader()))
    assert images.shape == (16, 3, 40, 40)
    assert images.dtype == torch.float32
    assert torch.equal(images[:, 0], images[:, 2])
    assert labels.dtype == torch.int64
    assert (scenes.in_chans, scenes.num_classes) == (3, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"digit_scale": (0.6, 0.5)}, r"digit_scale must rise from above 0, got digit_scale=\(0\.6, 0\.5\)"),
        ({"digit_scale": (0.5, 0.9)}, r"a digit of 0\.9 of the canvas turned by 0\.4 rad is 1\.18 canvases wide"),
        ({"clutter_side": 9}, r"clutter_side must lie in 1\.\.8, .* got clutter_side=9"),
        ({"clutter": -1}, r"clutter must be at least 0 and channels at least 1, got clutter=-1, channels=1"),
        ({"val_size": 0}, r"val_size and test_size must be at least 1, got 1, 64, 0 and 2000"),
    ],
)
def test_impossible_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        DigitScenes(**arguments)


def test_the_arguments_can_be_read_from_a_config_file():
    parser = ArgumentParser()
    parser.add_class_arguments(DigitScenes, "data")
    config = parser.parse_object({"data": {"digit_scale": [0.5, 0.6], "clutter": 2}})
    scenes = parser.instantiate(config).data
    assert scenes.recipe == Recipe(digit_scale=(0.5, 0.6), clutter=2)


class Linear(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(32 * 32, 10)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self.layer(batch[0].flatten(1)), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("loss", self.training_step(batch, batch_idx))

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.01)


# In the main process on purpose: composing is faster than handing batches over.
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*")
def test_lightning_fits_and_tests_with_it_and_it_logs_no_hyperparameters():
    scenes = DigitScenes()
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = Linear()
    trainer.fit(model, scenes)
    assert trainer.global_step == 1297 // 64
    assert math.isfinite(trainer.test(model, scenes, verbose=False)[0]["loss"])
    assert not scenes.hparams


def test_the_fingerprint_follows_what_defines_the_composites_and_not_the_run():
    first = DigitScenes().fingerprint()
    assert first == DigitScenes(seed=3, batch_size=8, workers=2).fingerprint()
    others = [{"clutter": 5}, {"passes": 2}, {"val_size": 100}, {"test_size": 100}, {"max_angle": 0.0}, {"canvas": 40}]
    assert len({first, *(DigitScenes(**other).fingerprint() for other in others)}) == 1 + len(others)
    assert len(bytes.fromhex(first)) == 32
