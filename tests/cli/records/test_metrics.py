from pathlib import Path

import pytest

from vitcli.records.json_files import RecordError
from vitcli.records.metrics import read_series


def written(directory: Path, text: str) -> Path:
    path = directory / "metrics.csv"
    path.write_text(text)
    return path


def test_empty_cells_are_left_out_and_the_last_value_of_an_epoch_counts(tmp_path):
    path = written(tmp_path, "epoch,step,train/loss,val/acc1,lr\n0,5,2.0,,0.1\n0,9,1.5,,\n0,9,,0.5,\n1,19,,0.7,\n")
    assert read_series(path, "epoch") == {"train/loss": {0.0: 1.5}, "val/acc1": {0.0: 0.5, 1.0: 0.7}}
    assert read_series(path, "step") == {"train/loss": {5.0: 2.0, 9.0: 1.5}, "val/acc1": {9.0: 0.5, 19.0: 0.7}}


def test_values_that_are_not_finite_are_left_out(tmp_path):
    assert read_series(written(tmp_path, "epoch,val/loss\n0,nan\n1,0.5\n2,inf\n"), "epoch") == {"val/loss": {1.0: 0.5}}


def test_without_a_file_there_is_no_series(tmp_path):
    assert read_series(tmp_path / "metrics.csv", "epoch") == {}


def test_a_cell_that_holds_text_is_one_sentence_that_names_the_file(tmp_path):
    path = written(tmp_path, "epoch,step,val/acc1\n0,1,good\n")
    with pytest.raises(RecordError, match=r"metrics\.csv: every cell must be empty or a number"):
        read_series(path, "epoch")
