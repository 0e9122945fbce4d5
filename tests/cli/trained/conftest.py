"""Two tiny trained runs that the tests of this room share."""

import shutil

import pytest

from tests.cli.images import write_images
from tests.cli.tiny_ablation import MODEL, PLAIN, TRAINER, write
from vitcli.main import main


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """A run on digits, without averaged weights."""
    folder = tmp_path_factory.mktemp("digits")
    path = write(folder / "digits.yaml", PLAIN, runs=str(folder / "runs"))
    assert main(["fit", "--config", path]) == 0
    return folder / "runs" / "digits" / "fit0"


@pytest.fixture(scope="session")
def folders_run(tmp_path_factory):
    """A run on folders of images, which are gone since, with averaged weights."""
    folder = tmp_path_factory.mktemp("folders")
    write_images(folder / "images")
    model = {**MODEL["init_args"]["backbone"], "num_classes": 3, "in_chans": 3}
    data = {"root": str(folder / "images"), "img_size": 32, "batch_size": 4, "workers": 0, "auto_augment": None}
    path = write(
        folder / "folders.yaml",
        PLAIN,
        model={"class_path": "vittasks.Classification", "init_args": {"backbone": model}},
        data={"class_path": "vittasks.ImageFolder", **data},
        trainer={
            **TRAINER,
            "callbacks": [{"class_path": "lightning.pytorch.callbacks.EMAWeightAveraging", "decay": 0.5}],
        },
        runs=str(folder / "runs"),
    )
    assert main(["fit", "--config", path]) == 0
    shutil.rmtree(folder / "images")
    return folder / "runs" / "folders" / "fit0"
