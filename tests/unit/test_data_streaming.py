"""Images that stay in their files make the same batches as in memory."""

import pickle
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from zarts.data import Augment, Batches, StreamedSet, load_data
from zarts.data import config as request_module
from zarts.data import decoding as list_module
from zarts.data.prefetch import Prefetcher
from zarts.errors import DataError

SIZE = 16


def fill(root, classes=("cat", "dog"), count=9, size=None, suffix="png"):
    random = np.random.default_rng(0)
    for name in classes:
        (root / name).mkdir(parents=True)
        for i in range(count):
            shape = (size, size, 3) if size else (*random.integers(12, 40, 2), 3)
            pixels = random.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i:02}.{suffix}")
    return root


@pytest.fixture
def pets(tmp_path):
    return fill(tmp_path / "pets")


def both(root, **settings):
    return [load_data(root, **{"image_size": SIZE, "image_cache": kept, **settings}) for kept in ("memory", "streamed")]


def batches(data, images=None, **settings):
    images = data.train if images is None else images
    given = {"batch_size": 4, "seed": 2, "stream": "w", "mean": data.mean, "std": data.std}
    return Batches(images, **{**given, **settings})


def equal(one, other, indices):
    return all(torch.equal(a, b) for i in indices for a, b in zip(one[i], other[i], strict=True))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("workers", [1, 3])
def test_the_same_batches_as_in_memory(tmp_path, workers, suffix):
    memory, streamed = both(fill(tmp_path / "pets", suffix=suffix), workers=workers)
    assert (memory.kept, streamed.kept) == ("memory", "streamed")
    assert (memory.mean, memory.std, streamed.notes) == (streamed.mean, streamed.std, ())
    assert memory.manifest == streamed.manifest
    augment = Augment(crop_padding=2, flip=True, cutout=4)
    assert equal(batches(memory, augment=augment), batches(streamed, augment=augment), range(9))


def test_large_photos_with_jitter_too(tmp_path):
    memory, streamed = both(fill(tmp_path / "pets", size=150, count=4, suffix="jpg"))  # decoded at half their size
    augment = Augment(crop_padding=2, flip=True, jitter=(0.4, 0.4, 0.4, 0.2))
    assert equal(batches(memory, augment=augment), batches(streamed, augment=augment), range(2))


def test_the_same_crops_as_in_memory_where_the_files_have_that_size(tmp_path):
    memory, streamed = both(fill(tmp_path / "pets", size=SIZE))
    augment = Augment(flip=True, cutout=4, resized=True, jitter=(0.4, 0.4, 0.4, 0.2))
    assert equal(batches(memory, augment=augment), batches(streamed, augment=augment), range(9))


def test_crops_are_of_the_whole_image_in_its_file(tmp_path):
    root = fill(tmp_path / "pets", size=8)
    for i, path in enumerate(root.rglob("*.png")):
        strip = np.repeat(np.arange(200, dtype=np.uint8), 20 + i).reshape(200, 20 + i)  # a high strip
        Image.fromarray(strip).save(path)
    (streamed,) = both(root)[1:]
    x, _ = batches(streamed, mean=(0.0,), std=(1 / 255,), augment=Augment(resized=True), batch_size=14)[0]
    assert x.max() > 150  # the central square ends at 110


@pytest.mark.parametrize("order", [[5, 0, 9, 1, 1, 8], [0, 1, 2, 0, 1, 2, 3], [3, 5, 7, 9]])
def test_any_order_of_batches(pets, order):
    memory, streamed = both(pets)
    augment = Augment(crop_padding=2, flip=True)
    assert equal(batches(memory, augment=augment), batches(streamed, augment=augment), order)


def test_test_images_too(pets):
    for crop in ("pad", "resized"):
        memory, streamed = both(pets, crop=crop)
        tests = [data.test() for data in (memory, streamed)]
        assert isinstance(tests[1], StreamedSet)
        assert tests[0].names == tests[1].names
        one, other = (batches(memory, test, shuffle=False, batch_size=3) for test in tests)
        assert len(one) == 2
        assert equal(one, other, range(len(one)))
    assert not torch.equal(load_data(pets, image_size=SIZE).test().images, tests[0].images)  # seen from nearer


def test_parts_of_it(pets):
    memory, streamed = both(pets)
    rows = torch.tensor([5, 0, 3])
    assert torch.equal(streamed.train.pixels(rows), memory.train.pixels(rows))
    taken = streamed.train.take(rows)
    assert (len(taken), taken.size, taken.channels) == (3, SIZE, 3)
    assert taken.names == memory.train.take(rows).names
    assert torch.equal(taken.pixels(torch.arange(3)), memory.train.images[rows])
    copied = pickle.loads(pickle.dumps(streamed))  # noqa: S301
    assert torch.equal(copied.train.pixels(rows), memory.train.images[rows])


def test_nothing_but_the_sample_is_opened_before_it_is_needed(pets, monkeypatch):
    monkeypatch.setattr(list_module, "_SAMPLE", 3)
    opened = []
    monkeypatch.setattr(
        list_module,
        "decode",
        lambda source, names, *rest, **k: opened.extend(names) or decode(source, names, *rest, **k),
    )
    from zarts.data.image_io import decode

    data = load_data(pets, image_size=SIZE, image_cache="streamed", seed=4)
    assert len(opened) == 3
    (note,) = data.notes
    assert "14 images are streamed as colour images" in note
    assert "sample of 3 (split_seed = 4)" in note
    rows = torch.tensor([data.train.names.index(name) for name in opened])
    sample = data.train.pixels(rows) / 255
    assert data.mean == pytest.approx(sample.mean((0, 2, 3)).tolist(), abs=1e-5)
    assert data.std == pytest.approx(sample.std((0, 2, 3), correction=0).tolist(), abs=1e-5)
    assert load_data(pets, image_size=SIZE, image_cache="streamed", seed=4).mean == data.mean


@pytest.mark.parametrize(
    ("free", "copies", "kept"),
    [
        (14 * 3 * SIZE**2 * 4, 1, "memory"),
        (14 * 3 * SIZE**2 * 4 - 4, 1, "streamed"),
        (14 * 3 * SIZE**2 * 4, 2, "streamed"),
        (None, 1, "memory"),
    ],
)
def test_auto_streams_what_takes_more_than_a_quarter_of_the_free_memory(pets, monkeypatch, free, copies, kept):
    monkeypatch.setattr(request_module, "free_memory", lambda: free)
    assert load_data(pets, image_size=SIZE, copies=copies).kept == kept
    assert load_data(pets, image_size=SIZE, copies=copies, image_cache="memory").kept == "memory"


def test_processes_share_the_processors(pets, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 12)
    workers = {copies: load_data(pets, image_size=SIZE, copies=copies).train.workers for copies in (1, 4, 20)}
    assert workers == {1: 8, 4: 3, 20: 1}
    assert load_data(pets, image_size=SIZE, copies=4, workers=5).train.workers == 5


def test_a_damaged_image_is_named_when_it_is_needed_and_may_be_repaired(pets):
    data = load_data(pets, image_size=SIZE, image_cache="streamed")
    made, broken = batches(data, shuffle=False), pets / data.train.names[5]
    content = broken.read_bytes()
    broken.write_bytes(b"broken")
    first = made[0]
    with pytest.raises(DataError, match=f"{broken} "):
        made[1]
    broken.write_bytes(content)
    assert made[1][0].shape == (4, 3, SIZE, SIZE)
    assert torch.equal(made[0][0], first[0])


def test_what_a_rank_does_not_look_at_is_not_decoded(pets):
    _, streamed = both(pets)
    mean = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
    whole = batches(streamed, **mean)
    parts = [batches(streamed, **mean, shard=lambda n, r=r: slice(n * r // 2, n * (r + 1) // 2)) for r in (0, 1)]
    for index in range(4):
        (x, y), *halves = (made[index] for made in (whole, *parts))
        middle = len(y) // 2
        assert all(torch.equal(half[1], y) for half in halves)
        assert torch.equal(torch.cat([halves[0][0][:middle], halves[1][0][middle:]]), x)
        assert halves[0][0][middle:].abs().max() == halves[1][0][:middle].abs().max() == 0


def test_files_of_the_next_two_batches_are_read_while_a_step_uses_one(pets, monkeypatch):
    made = batches(both(pets, workers=2)[1])
    rows, read, go, inner = [made._rows(i).tolist() for i in range(4)], [], threading.Event(), StreamedSet.read

    def gated(images, row, change=None):
        assert row in rows[0] or go.wait(60)
        read.append(row)
        return inner(images, row, change)

    monkeypatch.setattr(StreamedSet, "read", gated)
    made[0]  # does not wait for what it looks ahead to
    assert sorted(read) == sorted(rows[0])
    go.set()
    for done in [work for one in made._ahead._made.values() for work in one.work]:
        done.result(60)
    assert sorted(read) == sorted(rows[0] + rows[1] + rows[2])


class Counted:
    """Batches of two images, whose making is written down."""

    def __init__(self, **settings):
        self.made, self.lock, self.gates = [], threading.Lock(), {}
        self.ahead = Prefetcher(self.jobs, (2, 2, 1), 2, **{"workers": 2, **settings})

    def jobs(self, index):
        def job():
            if index in self.gates:
                self.gates[index].wait(60)
            with self.lock:
                self.made.append(index)
            return np.full((2, 2, 1), index, dtype=np.uint8)

        return [job, job]

    def __getitem__(self, index):
        pixels = self.ahead[index]
        assert (pixels.shape, pixels.unique().tolist()) == ((2, 2, 2, 1), [index])
        return pixels

    def settle(self):
        for made in list(self.ahead._made.values()):
            for work in made.work:
                work.exception()
        return sorted(set(self.made)), len(self.made) // 2


def test_a_walk_makes_each_batch_once_and_two_ahead():
    counted = Counted()
    for index in range(5):
        counted[index]
    assert counted.settle() == (list(range(7)), 7)


def test_a_walk_of_one_of_three_ranks():
    counted = Counted()
    for index in range(0, 12, 3):
        counted[index]
    assert counted.settle() == ([0, 1, 2, 3, 6, 9, 12, 15], 8)  # from the second one on its stride is known


def test_batches_of_an_alpha_update_are_kept_for_the_weight_steps_after_it():
    counted = Counted()
    for index in [*range(10), *range(10)]:
        counted[index]
    assert counted.settle() == (list(range(12)), 12)


def test_nothing_is_made_beyond_the_end():
    counted = Counted(length=3)
    for index in range(3):
        counted[index]
    assert counted.settle() == ([0, 1, 2], 3)


def test_few_batches_are_kept(monkeypatch):
    monkeypatch.setattr("zarts.data.prefetch._KEPT_BYTES", 2 * 4 * 6)  # six batches of two images of four bytes
    counted = Counted()
    for index in range(20):
        counted[index]
        assert len(counted.ahead._made) <= 6
    counted[0]
    assert counted.settle()[1] == 22 + 3


def test_the_next_batches_are_made_while_one_is_used():
    counted = Counted()
    counted.gates = {3: threading.Event(), 4: threading.Event()}
    counted[0]
    assert counted.settle() == ([0, 1, 2], 3)  # nobody has asked for two of them
    counted[1], counted[2]  # without waiting for the two that each looks ahead to
    assert sorted(set(counted.made)) == [0, 1, 2]
    for gate in counted.gates.values():
        gate.set()
    assert counted.settle() == ([0, 1, 2, 3, 4], 5)


@pytest.fixture
def imagenet(tmp_path):
    fill(tmp_path / "imagenet/train", ("n01", "n02"), 6)
    fill(tmp_path / "imagenet/val", ("n01", "n02"), 2)
    return tmp_path


@pytest.mark.parametrize("images", ["memory", "streamed"])
def test_imagenet_is_a_folder_in_the_data_directory(imagenet, images):
    data = load_data("imagenet", data_dir=imagenet, image_size=32, image_cache=images, subset=0.5)
    assert (data.name, data.classes, data.kept, data.flip) == ("imagenet", ("n01", "n02"), images, True)
    assert (data.mean, data.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert torch.bincount(data.train.labels).tolist() == [3, 3]
    test = data.test()
    assert test.names == tuple(f"val/n0{c}/0{i}.png" for c in (1, 2) for i in (0, 1))
    assert test.labels.tolist() == [0, 0, 1, 1]
    assert load_data("imagenet", data_dir=imagenet, image_cache="streamed").image_size == 224


def test_imagenet_with_other_parts(imagenet):
    root = imagenet / "imagenet"
    (root / "test").mkdir()  # of the challenge: without labels
    (root / "test/a.JPEG").write_bytes(b"")
    assert len(load_data("imagenet", data_dir=imagenet, image_size=32).test()) == 4
    (root / "test/a.JPEG").unlink()
    (root / "test").rmdir()
    (root / "val").rename(root / "test")
    assert load_data("imagenet", data_dir=imagenet, image_size=32).test().names[0] == "test/n01/00.png"
    (root / "test").rename(imagenet / "elsewhere")
    with pytest.raises(DataError, match="no val/"):
        load_data("imagenet", data_dir=imagenet)
    (root / "val").mkdir()
    (root / "val/a.JPEG").write_bytes(b"")
    with pytest.raises(DataError, match="sub-folders"):
        load_data("imagenet", data_dir=imagenet, image_size=32)
    (root / "train").rename(imagenet / "train")
    (root / "val/a.JPEG").unlink()
    (root / "val").rmdir()
    with pytest.raises(DataError, match="train/"):
        load_data("imagenet", data_dir=imagenet)
    root.rmdir()
    with pytest.raises(DataError, match="not found"):
        load_data("imagenet", data_dir=imagenet)
