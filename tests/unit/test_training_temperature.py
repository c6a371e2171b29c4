"""The temperature of logits that are drawn with a known one, and a network that has it inside."""

import pytest
import torch

from small import EVERY_KIND
from zarts.errors import SettingsError
from zarts.networks import create_chain
from zarts.training import apply_temperature, temperature


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_the_temperature_with_which_labels_are_drawn_is_found(true, generator):
    """40,000 images: its standard error is below 1.5 %; beside it the loss is higher, as at a minimum."""
    calibrated = 2 * torch.randn(40_000, 5, generator=generator)
    labels = torch.multinomial(calibrated.softmax(1), 1, generator=generator)[:, 0]
    found = temperature(true * calibrated, labels)
    assert found == pytest.approx(true, rel=0.04)
    loss = torch.nn.functional.cross_entropy
    best = loss(true * calibrated.double() / found, labels)
    assert all(loss(true * calibrated.double() / (found * factor), labels) > best for factor in (0.99, 1.01))


def test_answers_that_are_all_right_or_all_wrong_have_a_finite_temperature():
    logits, labels = torch.eye(4) / 2, torch.arange(4)
    assert temperature(logits, labels) == pytest.approx(1 / 20, rel=1e-3)
    assert temperature(logits, labels.roll(1)) == pytest.approx(20, rel=1e-3)
    for wrong in (logits[:0], logits / 0):
        with pytest.raises(SettingsError, match="temperature"):
            temperature(wrong, labels[: len(wrong)])


def test_a_network_has_it_inside(generator):
    network = create_chain(EVERY_KIND, num_classes=4).eval()
    images = torch.rand(6, 3, 16, 16, generator=generator)
    with torch.no_grad():
        network.classifier.bias.normal_(generator=generator)
        before = network(images)
        apply_temperature(network, 2.5)
        torch.testing.assert_close(network(images), before / 2.5)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(SettingsError, match="above 0"):
            apply_temperature(network, wrong)
