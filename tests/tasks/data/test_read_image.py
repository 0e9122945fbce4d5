"""An image is decoded as PIL's users expect, whatever its mode; a file that is none says why."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vittasks.data.read_image import quick_reason_of_damage, read_image, reason_of_damage

COLOURS = np.array([[[250, 20, 10], [10, 240, 30]], [[20, 30, 250], [200, 200, 200]]], dtype=np.uint8)


def saved(folder: Path, image: Image.Image, name: str = "image.png", **options: object) -> str:
    image.save(folder / name, **options)
    return str(folder / name)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize(("channels", "wanted"), [(1, "L"), (3, "RGB")])
def test_every_mode_of_8_bits_becomes_what_pil_converts_it_to(mode, channels, wanted, tmp_path):
    image = Image.fromarray(COLOURS).convert(mode)
    read = read_image(saved(tmp_path, image), channels)
    assert read.mode == wanted
    assert np.array_equal(np.asarray(read), np.asarray(image.convert(wanted)))


def test_a_palette_with_transparency_keeps_its_colours_and_warns_of_nothing(tmp_path):
    image = Image.fromarray(COLOURS).quantize(4)
    path = saved(tmp_path, image, transparency=bytes([0, 128, 255, 255]))
    assert np.array_equal(np.asarray(read_image(path, 3)), np.asarray(image.convert("RGB")))


def test_cmyk_becomes_rgb(tmp_path):
    path = saved(tmp_path, Image.fromarray(COLOURS).resize((16, 16)).convert("CMYK"), "image.jpg", quality=95)
    assert np.array_equal(np.asarray(read_image(path, 3)), np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("kind", ["L", "I;16", "RGB"])
def test_the_rotation_in_exif_is_applied(kind, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees clockwise
    pixels = np.arange(6, dtype=np.uint16 if kind == "I;16" else np.uint8).reshape(2, 3)
    image = Image.fromarray(pixels)
    path = saved(tmp_path, image.convert("RGB") if kind == "RGB" else image, exif=exif)
    read = read_image(path, 1)
    values = np.asarray(read) if isinstance(read, Image.Image) else (read[0] * 65535).round().numpy()
    assert np.array_equal(values, np.rot90(pixels, -1))


@pytest.mark.parametrize("name", ["image.png", "image.tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_gray_of_16_bits_keeps_its_range_and_its_fine_steps(name, channels, tmp_path):
    pixels = np.array([[0, 1, 2000], [40000, 40001, 65535]], dtype=np.uint16)
    read = read_image(saved(tmp_path, Image.fromarray(pixels), name), channels)
    assert read.shape == (channels, 2, 3)
    assert torch.equal((read * 65535).round(), torch.from_numpy(pixels.astype(np.float32)).expand(channels, 2, 3))


def test_floating_point_numbers_are_taken_as_they_are(tmp_path):
    pixels = np.array([[-1.5, 0.25], [3.0, 100.0]], dtype=np.float32)
    assert torch.equal(
        read_image(saved(tmp_path, Image.fromarray(pixels), "image.tif"), 1)[0], torch.from_numpy(pixels)
    )


def test_numbers_that_are_not_finite_are_damage(tmp_path):
    pixels = np.array([[0.5, np.nan]], dtype=np.float32)
    damaged = saved(tmp_path, Image.fromarray(pixels), "image.tif")
    assert reason_of_damage(damaged, 3) == "it holds numbers that are not finite"


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_six_channels_are_filled_by_repetition(mode, tmp_path):
    image = Image.fromarray(COLOURS).convert(mode)
    read = read_image(saved(tmp_path, image), 6)
    expected = np.asarray(image.convert("RGB"), dtype=np.float32).transpose(2, 0, 1) / 255
    assert torch.equal(read, torch.from_numpy(np.concatenate([expected, expected])))


def test_four_channels_of_a_file_are_kept_and_three_do_not_fill_four(tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=(2, 3, 4), dtype=np.uint8)
    read = read_image(saved(tmp_path, Image.fromarray(pixels, "RGBA")), 4)
    assert torch.equal((read * 255).round(), torch.from_numpy(pixels.transpose(2, 0, 1)).float())
    with pytest.raises(ValueError, match=r"it has 3 channels, which do not fill data.channels: 4"):
        read_image(saved(tmp_path, Image.fromarray(COLOURS), "rgb.png"), 4)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_arrays_and_tiff_with_a_page_a_channel_hold_any_number_of_channels(kind, tmp_path):
    pixels = np.random.default_rng(0).integers(200, size=(4, 5, 6)).astype(kind)
    np.save(tmp_path / "six.npy", pixels)
    pages = [Image.fromarray(pixels[..., channel]) for channel in range(6)]
    pages[0].save(tmp_path / "six.tif", save_all=True, append_images=pages[1:])
    most = {np.uint8: 255, np.uint16: 65535, np.float32: 1}[kind]
    for name in ("six.npy", "six.tif"):
        read = read_image(str(tmp_path / name), 6)
        assert torch.equal((read * most).round(), torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1))


@pytest.fixture
def whole(tmp_path):
    stream = np.random.default_rng(0).integers(256, size=(40, 40, 3), dtype=np.uint8)
    return {
        name: Path(saved(tmp_path, Image.fromarray(stream), f"image.{name}")) for name in ("jpg", "png", "bmp", "webp")
    }


@pytest.mark.parametrize("look", [reason_of_damage, quick_reason_of_damage])
def test_a_whole_file_has_no_damage_and_half_of_it_has(look, whole):
    for path in whole.values():
        assert look(str(path), 3) == ""
        path.write_bytes(
            path.read_bytes()[:-50] if path.suffix == ".bmp" else path.read_bytes()[: path.stat().st_size // 2]
        )
        assert look(str(path), 3)


@pytest.mark.parametrize("look", [reason_of_damage, quick_reason_of_damage])
@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "it is not an image"), (b"<html>not found</html>", "it is not an image")]
)
def test_a_file_that_is_not_an_image_is_named(look, content, reason, tmp_path):
    (tmp_path / "image.jpg").write_bytes(content)
    assert look(str(tmp_path / "image.jpg"), 3) == reason


def test_a_jpeg_with_something_behind_its_end_is_whole(whole):
    whole["jpg"].write_bytes(whole["jpg"].read_bytes() + b"notes of a camera")
    assert quick_reason_of_damage(str(whole["jpg"]), 3) == ""


def test_a_file_that_may_not_be_read_says_so(tmp_path):
    (tmp_path / "image.jpg").symlink_to(tmp_path / "gone.jpg")
    assert quick_reason_of_damage(str(tmp_path / "image.jpg"), 3) == "No such file or directory"
