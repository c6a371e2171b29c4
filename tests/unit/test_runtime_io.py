"""Files of a run's folder, and folders that are there whole or not at all."""

import pytest

from zarts.runtime.io import epoch_files
from zarts.runtime.leftovers import mark, whole_folder


def test_epochs_are_in_the_order_of_their_numbers(tmp_path):
    for name in ("epoch_1000.json", "epoch_101.json", "epoch_002.json", "epoch_3.txt", "epoch_x.json"):
        (tmp_path / name).touch()
    assert list(epoch_files(tmp_path)) == [2, 101, 1000]
    assert epoch_files(tmp_path)[1000] == tmp_path / "epoch_1000.json"
    assert epoch_files(tmp_path / "none") == {}


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_comes_whole(tmp_path, exists):
    out = tmp_path / "out"
    if exists:
        out.mkdir()
    with whole_folder(out) as part:
        (part / "a").touch()
        (part / "b").mkdir()
        assert exists == out.exists()
        assert not exists or [*out.iterdir()] == [part]  # the folder above may be one that can only be read
    assert sorted(file.name for file in out.iterdir()) == ["a", "b"]
    assert [*tmp_path.iterdir()] == [out]


def test_what_a_killed_process_has_left_of_a_folder_goes(tmp_path):
    """Number 4194305 is of no process: Linux counts them to 4194304."""
    machine = mark().partition("-")[0]
    left = tmp_path / f".out.{machine}-4194305-0a1b2c3d.part"
    at_work = tmp_path / f".out.{mark()}-0a1b2c3d.part"
    for folder in (left, at_work):
        folder.mkdir()
        (folder / "model.onnx").touch()
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "out"):
        raise ZeroDivisionError
    assert [*tmp_path.iterdir()] == [at_work]
