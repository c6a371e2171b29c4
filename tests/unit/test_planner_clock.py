"""Seconds of trainings at the pace at which a fit began."""

import pytest
import torch

from zarts.planner import clock
from zarts.planner.clock import Clock, reference_seconds

CPU = torch.device("cpu")


class Machine:
    """A processor whose reference takes `reference` seconds; `now` is CPU time, `wall` the time of day."""

    def __init__(self):
        self.now, self.wall, self.reference = 0.0, 0.0, 0.002

    def process_time(self):
        return self.now

    def monotonic(self):
        return self.wall

    def reference_seconds(self):
        self.now += 0.01
        return self.reference


@pytest.fixture
def machine(monkeypatch):
    machine = Machine()
    monkeypatch.setattr(clock, "time", machine)
    monkeypatch.setattr(clock, "reference_seconds", machine.reference_seconds)
    return machine


def test_at_the_pace_of_the_beginning_seconds_are_those_of_the_processor_without_the_reference(machine):
    own = Clock(CPU, 5.0, None, 0.002)
    for _ in range(10):
        machine.now += 0.7
        own.seconds()
    assert own.seconds() == pytest.approx(5.0 + 7.0)
    assert own.left(20.0) == pytest.approx(8.0)
    assert own.pace == pytest.approx(0.002)


def test_on_a_machine_of_half_the_speed_two_seconds_count_as_one(machine):
    machine.reference = 0.004
    own = Clock(CPU, 0.0, None, 0.002)
    for _ in range(20):
        machine.now += 1.0
        own.seconds()
    assert own.seconds() == pytest.approx(10.0)
    assert own.pace == pytest.approx(0.004)
    assert Clock(CPU, 0.0, None, None).left(3.0) == 3.0


def test_between_two_timings_the_mean_of_their_speeds_counts(machine):
    own = Clock(CPU, 0.0, None, 0.002)
    machine.reference = 0.004
    machine.now += 2.0
    assert own.seconds() == pytest.approx(2.0 * 0.75)
    machine.now += 0.5  # too soon for the next timing
    assert own.seconds() == pytest.approx(2.0 * 0.75 + 0.5 * 0.5)


def test_until_a_deadline_seconds_pass_as_fast_as_so_far(machine):
    machine.reference = 0.004
    own = Clock(CPU, 0.0, 100.0, 0.002)
    machine.now, machine.wall = machine.now + 10.0, 20.0  # half of the processor at half of its speed
    assert own.left(1000.0) == pytest.approx(80.0 * 5.0 / 20.0)
    assert own.left(6.0) == pytest.approx(1.0)


def test_the_reference_draws_nothing_and_takes_milliseconds():
    state = torch.get_rng_state()
    seconds = sorted(reference_seconds() for _ in range(5))[2]
    assert torch.equal(torch.get_rng_state(), state)
    assert 1e-5 < seconds < 0.1


def test_on_a_gpu_seconds_are_those_that_pass(monkeypatch, machine):
    monkeypatch.setattr(clock.torch.cuda, "synchronize", lambda device: None)
    machine.perf_counter = machine.monotonic
    own = Clock(torch.device("cuda"), 0.0, None, 0.002)
    machine.wall += 7.0
    assert own.seconds() == 7.0
    assert own.pace is None
