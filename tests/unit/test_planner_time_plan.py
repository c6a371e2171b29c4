"""How the time of a fit is divided."""

import math

import pytest

from zarts.planner.time_plan import ENOUGH, MOST, SEARCHED, SLACK, USABLE, plan_time

LONG = 1e4
"""Seconds of an epoch: so many that no number of epochs is enough."""


@pytest.mark.parametrize("processes", [1, 2, 4, 8])
@pytest.mark.parametrize("left", [1175.0, 2360.0, 7160.0, 86_000.0])
def test_finals_get_a_third_and_everything_fits(left, processes):
    plan = plan_time(left, processes, LONG)
    assert plan.searched >= SEARCHED
    finals = math.ceil(2 * plan.seeds / processes) * plan.final
    assert finals == pytest.approx(SLACK * left / 3, rel=0.002)
    short, lengths = plan.shortest[1], [seconds for _, seconds in plan.lengths]
    assert min(lengths) >= USABLE
    assert lengths == pytest.approx([plan.final / 3**power for power in range(len(lengths), 0, -1)])
    before = (plan.handmade + plan.searched) * short + plan.second_seeds * lengths[-1]
    if len(lengths) > 1:  # four continue from the length before, which had done the part at the full rate
        before += 4 * (lengths[-1] - 0.3 * lengths[-2])
    if len(lengths) > 2:
        before += 9 * (lengths[1] - 0.3 * short)
    assert before <= processes * (SLACK * left - finals)
    assert plan.handmade * short <= processes * (SLACK * left - finals) / 3


def test_without_time_for_eight_networks_there_is_no_search():
    plan = plan_time(570.0, 1, LONG)
    assert plan.searched == 0
    assert plan.final + plan.handmade * plan.final / 3 <= SLACK * 570
    minutes = int(plan.why.split()[2])
    beside = plan_time(570.0, 1, LONG, beside=120.0).why
    assert beside == f"that takes {minutes + 2} minutes or more"
    assert plan_time(60.0 * minutes, 1, LONG).searched >= SEARCHED
    assert plan_time(60.0 * (minutes - 1), 1, LONG).searched == 0


def test_more_epochs_than_bring_anything_are_not_planned():
    plan = plan_time(1800.0, 1, epoch=0.1)
    assert plan.final == pytest.approx(0.1 * MOST)
    assert plan.lengths == (("T/3", pytest.approx(0.1 * MOST / 3)),)
    assert MOST / 9 < ENOUGH <= MOST / 3


def test_a_search_that_was_not_asked_for_is_not_made():
    plan = plan_time(7200.0, 2, LONG, search=False)
    assert (plan.searched, plan.why) == (0, "it was not asked for")
    assert plan.final > plan_time(7200.0, 2, LONG).final
