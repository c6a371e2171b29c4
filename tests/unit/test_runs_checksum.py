"""A flipped bit of what a run keeps is found before use, and what is whole is offered."""

import json
import random
import subprocess

import pytest
import torch

from zarts.errors import RunError
from zarts.runs import Run
from zarts.runs.checkpoint import DamagedError, load_checkpoint, save_checkpoint
from zarts.spaces import Chain, ChainStem, Stage
from zarts.training import ModelCard, load_model, save_model

CPU = torch.device("cpu")
STATE = {"weights": torch.arange(20.0), "epoch": 3, "names": ["a", "b"]}


def flipped(content, bit):
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_every_bit_of_a_checkpoint(tmp_path):
    path = tmp_path / "x.pt"
    save_checkpoint(path, STATE)
    content = path.read_bytes()
    for bit in {
        *range(0, 8 * len(content), 101),
        *range(8 * len(content) - 8 * 90, 8 * len(content), 5),
    }:  # much of the seal
        path.write_bytes(flipped(content, bit))
        with pytest.raises(DamagedError, match=r"x\.pt"):
            load_checkpoint(path)
    path.write_bytes(content)
    state = load_checkpoint(path)
    assert torch.equal(state.pop("weights"), STATE["weights"])
    assert state == {"epoch": 3, "names": ["a", "b"]}
    assert torch.load(path, weights_only=True)["epoch"] == 3  # torch's own reader takes it, too


def test_a_checkpoint_without_a_checksum_is_read(tmp_path):
    torch.save(STATE, tmp_path / "x.pt")
    assert load_checkpoint(tmp_path / "x.pt")["epoch"] == 3


def test_the_checkpoint_before_it_is_offered(tmp_path):
    """What the message says brings the run back to it; without one it says so."""
    run, path = Run.create(tmp_path / "a run", {}, "search"), tmp_path / "a run" / "checkpoint.pt"
    for epoch in range(3):
        run.log({"event": "epoch", "epoch": epoch})
        run.save({"epoch": epoch}, {})
    path.write_bytes(flipped(path.read_bytes(), 4000))
    with pytest.raises(RunError, match="the one before it is whole") as caught:
        run.restore({}, CPU)
    subprocess.run(str(caught.value).split("`")[1], shell=True, check=True)
    assert run.restore({}, CPU)["epoch"] == 1
    assert len(run.events()) == 2
    path.write_bytes(flipped(path.read_bytes(), 4000))
    with pytest.raises(RunError, match="no earlier one"):
        run.restore({}, CPU)


def test_every_bit_of_a_split(tmp_path):
    run, split = Run(tmp_path), {"source": "x", "train": ["a/é.png", "b"], "test": ["c"], "seed": 0}
    run.write_split(split)
    content = (tmp_path / "split.json").read_bytes()
    for bit in range(0, 8 * len(content), 3):
        (tmp_path / "split.json").write_bytes(flipped(content, bit))
        with pytest.raises(RunError, match=r"split\.json"):
            run.split()
    (tmp_path / "split.json").write_bytes(content)
    assert run.split() == split
    (tmp_path / "split.json").write_text(json.dumps(split))  # of zarts 0.1.0
    assert run.split() == split


def test_bits_of_a_model(tmp_path):
    """Same network, same bytes; a sample of flipped bits, and all of those around the checksum."""
    chain = Chain(ChainStem(2, 1, 3), (Stage("conv", 2),))
    card = ModelCard(chain, 0, 0, "", ("a", "b"), 8, (0.5,), (0.25,))
    network, path = card.build(), tmp_path / "m.safetensors"
    contents = set()
    for _ in range(4):
        save_model(path, network, card)
        contents.add(path.read_bytes())
    (content,) = contents
    start = content.index(b'"__metadata__"')
    bits = {*random.Random(0).sample(range(8 * len(content)), 60), *range(8 * start, 8 * (start + 130), 11)}
    for bit in bits:
        path.write_bytes(flipped(content, bit))
        with pytest.raises(RunError, match=r"m\.safetensors"):
            load_model(path)
    path.write_bytes(content)
    again, found = load_model(path)
    assert found == card
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in network.state_dict().items())
