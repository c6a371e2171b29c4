import subprocess
import sys

import pytest
import torch

from zarts.data import halves
from zarts.data.split import UnitsError, split_test, split_units, subset_indices
from zarts.errors import DataError, SettingsError
from zarts.runtime.seed import keyed_generator

UNEVEN = torch.tensor([0] * 50 + [1] * 21 + [2] * 7 + [3] * 3)[torch.randperm(81, generator=keyed_generator("test"))]


def counts(labels, indices, classes=4):
    return torch.bincount(labels[indices], minlength=classes)


def test_halves_are_a_stratified_partition():
    weights, alpha = halves(UNEVEN, seed=3)
    assert torch.equal(torch.cat([weights, alpha]).sort().values, torch.arange(81))
    assert len(weights) - len(alpha) == 1
    assert (counts(UNEVEN, weights) - counts(UNEVEN, alpha)).abs().max() <= 1


def test_halves_depend_on_the_seed_and_on_nothing_else():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = halves(UNEVEN, seed=0)
    torch.manual_seed(1)
    assert torch.equal(first[0], halves(UNEVEN, seed=0)[0])
    assert not torch.equal(first[0], halves(UNEVEN, seed=1)[0])
    torch.manual_seed(0)
    halves(UNEVEN, seed=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_halves_mix_the_images_of_a_class():
    one_class = torch.zeros(1000, dtype=torch.int64)
    weights, _ = halves(one_class, seed=0)
    assert 200 < int((weights < 500).sum()) < 300


def test_one_image_has_no_halves():
    with pytest.raises(DataError, match="1 images"):
        halves(torch.tensor([0]), seed=0)


@pytest.mark.parametrize("size", [4, 5, 20, 40, 81])
def test_subset_is_stratified(size):
    chosen = subset_indices(UNEVEN, size, seed=0)
    assert len(chosen) == size == len(chosen.unique())
    assert torch.equal(chosen, chosen.sort().values)
    got, ideal = counts(UNEVEN, chosen), counts(UNEVEN, torch.arange(81)) * size / 81
    assert got.min() >= 1
    assert ((got - ideal).abs() < 1.5).all()


def test_subset_of_a_smaller_size_is_a_part():
    small, large = (set(subset_indices(UNEVEN, n, seed=5).tolist()) for n in (10, 30))
    assert small < large
    assert small != set(subset_indices(UNEVEN, 10, seed=6).tolist())


def test_odd_images_of_a_subset_go_to_any_class():
    even = torch.arange(10).repeat(20)
    extra = {int(counts(even, subset_indices(even, 51, seed), 10).argmax()) for seed in range(20)}
    assert len(extra) > 3


@pytest.mark.parametrize(("share", "size"), [(0.25, 20), (0.5, 40), (0.999, 81)])
def test_a_share_is_a_number(share, size):
    assert torch.equal(subset_indices(UNEVEN, share, seed=3), subset_indices(UNEVEN, size, seed=3))


def test_no_subset_is_everything():
    assert torch.equal(subset_indices(UNEVEN, None, seed=0), torch.arange(81))


@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        (0, SettingsError, "subset is 0"),
        (1.5, SettingsError, "subset is 1.5"),
        (0.01, DataError, "4 classes"),
        (82, DataError, "subset is 82"),
        (3, DataError, "subset is 3"),
    ],
)
def test_impossible_subset(size, error, message):
    with pytest.raises(error, match=message):
        subset_indices(UNEVEN, size, seed=0)


def test_a_fifth_is_set_aside_stratified():
    train, test = split_test(UNEVEN, 0)
    assert torch.equal(torch.cat([train, test]).sort().values, torch.arange(81))
    assert counts(UNEVEN, test).tolist() == [10, 4, 1, 1]


def test_two_images_a_class_give_one_to_each_part():
    labels = torch.arange(30).repeat(2)
    train, test = split_test(labels, 0)
    assert labels[train].sort().values.tolist() == labels[test].sort().values.tolist() == list(range(30))


@pytest.mark.long  # batches, which they draw, are the same there: test_data_loader.py
def test_keyed_generators_are_the_same_in_another_process():
    code = (
        "from zarts.runtime.seed import keyed_generator; import torch;"
        "print(torch.randint(10**9, (3,), generator=keyed_generator(7, 'stream', 2)).tolist())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": "123"}, capture_output=True, text=True, check=True
    )
    here = torch.randint(10**9, (3,), generator=keyed_generator(7, "stream", 2)).tolist()
    assert out.stdout.strip() == str(here)


def test_keys_do_not_run_together():
    keys = [(1, "a"), (1, "a", 0), ("1", "a"), (1, "b"), (2, "a"), (11, "a"), (1, "1a")]
    draws = {int(torch.randint(2**40, (1,), generator=keyed_generator(*key))) for key in keys}
    assert len(draws) == len(keys)


def parts_of(labels, units, **options):
    labels, units = torch.tensor(labels), torch.tensor(units)
    first, second = split_units(labels, units, 0, "x", **options)
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(len(labels)))
    assert not set(units[first].tolist()) & set(units[second].tolist())
    return labels[first], labels[second]


def test_units_of_one_are_split_as_single_images_are_by_number():
    labels = [0] * 10 + [1] * 20 + [2] * 2
    first, second = parts_of(labels, range(32))
    assert torch.bincount(second).tolist() == [2, 4, 1]
    assert torch.bincount(first).tolist() == [8, 16, 1]


def test_films_of_twenty_frames_stay_whole():
    """Ten films a class: two are a fifth."""
    labels = [film // 10 for film in range(30) for _ in range(20)]
    _, second = parts_of(labels, [film for film in range(30) for _ in range(20)])
    assert torch.bincount(second).tolist() == [40, 40, 40]


def test_units_of_several_classes_and_sizes_come_near_to_a_fifth():
    generator = torch.Generator().manual_seed(3)
    units = torch.randint(0, 200, (3000,), generator=generator).tolist()
    labels = torch.randint(0, 4, (3000,), generator=generator).tolist()
    _, second = parts_of(labels, units)
    assert all(abs(count - 150) < 20 for count in torch.bincount(second).tolist())


def test_a_class_of_two_large_units_gives_the_smaller_one():
    _, second = parts_of([0] * 9 + [1] * 10, [0] * 5 + [1] * 4 + list(range(2, 12)))
    assert torch.bincount(second).tolist() == [4, 2]


def test_a_class_of_one_unit():
    labels, units = [0] * 4 + [1] * 10, [0] * 4 + list(range(1, 11))
    with pytest.raises(UnitsError) as raised:
        parts_of(labels, units)
    assert raised.value.kind == 0
    first, second = parts_of(labels, units, share=0.5, each=False)
    assert (first == 0).sum() == 4
    assert torch.bincount(second).tolist() == [0, 5]


def test_known_images_keep_their_part_and_new_ones_fill_up_to_a_fifth():
    labels, known = [0] * 30, [0] * 9 + [1] + [-1] * 20
    first, second = split_units(torch.tensor(labels), torch.arange(30), 0, known=torch.tensor(known))
    assert set(range(9)) <= set(first.tolist())
    assert 9 in second.tolist()
    assert len(second) == 6
    together = torch.tensor([9] * 15 + list(range(15, 30)))  # 0 to 14 are one unit with the known test image
    known = torch.tensor([-1] * 9 + [1] + [-1] * 20)
    assert split_units(torch.tensor(labels), together, 0, known=known)[1].tolist() == list(range(15))


def test_halves_keep_units_together():
    labels = torch.tensor([0] * 20 + [1] * 20)
    units = torch.arange(40) // 2
    one, other = halves(labels, 0, units)
    assert not set(units[one].tolist()) & set(units[other].tolist())
    assert torch.bincount(labels[other]).tolist() == [10, 10]
