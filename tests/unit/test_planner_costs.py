"""The width at which a network keeps its limits."""

import pytest

from zarts.config.fit import fit_settings
from zarts.limits.delivered import count_network
from zarts.limits.latency import Latency
from zarts.planner.chain_words import widths_of, with_width
from zarts.planner.costs import Costing, _largest
from zarts.spaces import handmade
from zarts.training import ModelCard

CARD = ModelCard(handmade("resnet8"), 0, 0, "", tuple("abcdefghij"), 28, (0.3,), (0.3,))


@pytest.mark.parametrize("guess", [-20, -3, 0, 4, 5, 6, 17, 20])
@pytest.mark.parametrize("most", [-20, -7, 5, 20])
def test_the_largest_number_is_found_from_any_guess(guess, most):
    asked = []
    assert _largest(lambda number: asked.append(number) or number <= most, -20, 20, guess) == most
    assert all(-20 <= number <= 20 for number in asked)
    assert _largest(lambda number: False, -20, 20, guess) is None


@pytest.mark.parametrize(
    "limits",
    [{"max_params": "50k"}, {"max_macs": "2M"}, {"max_file": "100KB"}, {"max_ram": "24KB"}, {"max_flash": "60KB"}],
)
@pytest.mark.parametrize("share", [1.0, 0.25])
def test_the_widest_network_keeps_the_limit_and_a_wider_one_does_not(limits, share):
    (name,) = limits
    costing = Costing(fit_settings({"data": "digits", "max_file": None, **limits}), CARD)
    chain = handmade("resnet8", stem_stride=2)
    found = costing.widest(chain, 28, share)

    def used(one):
        return {each.setting: each.share for each in costing.shares(costing.of(one, 28))}[name]

    assert used(found) <= share
    assert used(found) > 0.6 * share  # widths are whole numbers: small networks come in steps
    widths = [found.stem.width, *(stage.width for stage in found.stages)]
    wider = next(one for f in range(1, 60) if (one := found.scaled(1 + f / 100)).stem.width > widths[0])
    assert used(wider) > share or used(wider) < used(found) * 1.02


def test_int8_counts_a_byte_a_weight_and_no_limit_changes_nothing():
    plain = Costing(fit_settings({"data": "digits", "max_file": None}), CARD)
    assert plain.widest(handmade("vgg"), 28) == handmade("vgg")
    eight = Costing(fit_settings({"data": "digits", "int8": True}), CARD)
    costs = [one.of(handmade("resnet8"), 28) for one in (plain, eight)]
    assert costs[0].flash > 3.5 * costs[1].flash
    assert costs[0].ram > 3.5 * costs[1].ram
    assert (costs[0].parameters, costs[0].macs) == (costs[1].parameters, costs[1].macs)


def test_layers_take_what_one_width_leaves_of_the_limits():
    """With 4 KB of RAM and 32 KB of flash ResNet-8 at one width uses less than half of the flash."""
    costing = Costing(fit_settings({"data": "digits", "max_ram": "4KB", "max_flash": "32KB", "int8": True}), CARD)
    one_width = costing.widest(handmade("resnet8", stem_stride=2), 28)
    costs = costing.of(one_width, 28)
    assert (costs.ram > 3400, costs.flash < 16_000) == (True, True)
    wide = costing.filled(one_width, 28)
    costs = costing.of(wide, 28)
    assert costing.exceeded(costs) == []
    assert costs.flash > 31_000
    assert [stage.kind for stage in wide.stages] == ["residual"] * 3
    assert all(a >= b for a, b in zip(widths_of(wide), widths_of(one_width), strict=True))
    for place, width in enumerate(widths_of(wide)):  # no layer can be a twentieth wider
        wider = with_width(wide, place, width + max(1, round(0.05 * width)))
        assert costing.exceeded(costing.of(wider, 28))
    half = costing.of(costing.filled(costing.widest(handmade("resnet8", stem_stride=2), 28, 0.5), 28, 0.5), 28)
    assert 15_000 < half.flash <= 16_384
    assert half.ram <= 2048


def test_layers_grow_as_far_as_a_latency_allows(monkeypatch):
    """A latency in proportion to MACs, of which 1.2 times those of the network are allowed."""
    monkeypatch.setattr(Costing, "latency", lambda costing, file: Latency(costs_of(file).macs / 1e6, 0.0))
    chain = handmade("resnet8", 0.4, 2)
    limits = {"data": "digits", "max_flash": "200KB", "max_latency": f"{0.402025 * 1.2}ms", "int8": True}
    costing = Costing(fit_settings(limits), CARD)
    before, after = (costing.of(one, 28).macs for one in (chain, costing.filled(chain, 28)))
    assert before == 402_025
    assert 1.1 * before < after <= 1.2 * before


def costs_of(file):
    return count_network(file.read_bytes())


def test_what_no_width_keeps_has_none():
    assert Costing(fit_settings({"data": "digits", "max_params": 30}), CARD).widest(handmade("resnet8"), 28) is None


def test_latencies_that_are_compared_are_measured_in_turn(monkeypatch):
    """The machine becomes slower in the first round and recovers: the network that is faster each time is so."""
    measured = iter([1.0, 2.4, 2.0, 1.2, 1.1, 1.3])
    asked = []

    def latency(settings, file, table):
        asked.append(file.name)
        return Latency(next(measured), 0.01)

    monkeypatch.setattr("zarts.planner.costs.network_latency", latency)
    costing = Costing(fit_settings({"data": "digits"}), CARD)
    found = costing.compared([(handmade("resnet8", 0.5), 28), (handmade("resnet8"), 28)])
    assert asked == ["0.onnx", "1.onnx"] * 3
    assert [one.latency.ms for one in found] == [1.0, 1.2]
    assert found[0].parameters < found[1].parameters

    measured = iter([3.0])
    by_command = Costing(fit_settings({"data": "digits", "latency_command": "adb"}), CARD)
    (found,) = by_command.compared([(handmade("resnet8"), 28)])  # which may take minutes: once
    assert found.latency.ms == 3.0
