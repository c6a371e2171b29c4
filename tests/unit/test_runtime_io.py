"""Files of a run's folder."""

from zarts.runtime.io import epoch_files


def test_epochs_are_in_the_order_of_their_numbers(tmp_path):
    for name in ("epoch_1000.json", "epoch_101.json", "epoch_002.json", "epoch_3.txt", "epoch_x.json"):
        (tmp_path / name).touch()
    assert list(epoch_files(tmp_path)) == [2, 101, 1000]
    assert epoch_files(tmp_path)[1000] == tmp_path / "epoch_1000.json"
    assert epoch_files(tmp_path / "none") == {}
