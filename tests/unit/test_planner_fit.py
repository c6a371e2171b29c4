"""The stages of a fit, with trainings that take no time: what is tried, what advances, what is repeated."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from zarts.bilevel import ERROR
from zarts.config.fit import fit_settings
from zarts.data import load_data
from zarts.errors import DivergedError, Interrupted, SettingsError
from zarts.limits.delivered import NetworkCosts
from zarts.planner import finals, time_plan
from zarts.planner.budget import Budget
from zarts.planner.candidates import Candidates
from zarts.planner.chain_counts import chain_counts
from zarts.planner.chain_space import is_slow
from zarts.planner.costs import Costing
from zarts.planner.finals import epochs_by_number
from zarts.planner.fit import Fit
from zarts.planner.handmade import first_share, worthwhile
from zarts.planner.paths import Paths
from zarts.planner.pictures import Pictures
from zarts.planner.records import FINAL, PLAN, Candidate, Plan, Schedule, Score
from zarts.planner.training import Trained
from zarts.planner.workers import Workers
from zarts.runtime.seed import keyed_generator
from zarts.spaces import handmade
from zarts.training import ModelCard
from zarts.training.compute_path import ComputePath

pytestmark = pytest.mark.usefixtures("unchecked")

DIGITS = load_data("digits")


class Clock:
    """Passes only when networks are trained."""

    now = 0.0

    def perf_counter(self):
        return self.now

    monotonic = perf_counter


class Pretended(Workers):
    """Says that a network is right as often as `quality` says, plus noise of its seed; takes the time of the task."""

    def __init__(self, clock, pictures, quality, slowness=1.0, dies_after=None, starts=0.0, hurry=1.0, processes=1):
        super().__init__(pictures, processes, lambda: False)
        self.clock, self.pictures, self.quality, self.slowness = clock, pictures, quality, slowness
        self.trained, self.dies_after, self.starts, self.late = [], dies_after, starts, []
        self.hurry, self.groups = hurry, []

    def start(self, sizes):
        if len(sizes) > 1:
            self.clock.now, self.starts = self.clock.now + self.starts, 0.0

    def measure(self, asked):
        return [None for _ in asked]

    def train(self, tasks):
        self.groups.append([(task.candidate.chain.name, task.length) for task in tasks])
        for task in tasks:
            if task.deadline is not None and self.clock.now + task.seconds > task.deadline:
                self.late.append(task)
            if self.dies_after is not None and len(self.trained) == self.dies_after:
                raise Interrupted("interrupted")
            self.trained.append(task)
            task.model.touch()
            self.clock.now += self.slowness * task.seconds / min(self.processes, len(tasks))
            quality = self.quality(task)
            if quality is None:
                yield task, DivergedError("diverged")
                continue
            labels = self.pictures[task.candidate.image_size].val.labels
            generator = keyed_generator(task.seed, "noise", task.candidate.number, task.length)
            right = torch.rand(len(labels), generator=generator) < quality
            said = torch.where(right, labels, (labels + 1) % 10)
            logits = torch.nn.functional.one_hot(said, 10).float()
            schedule = task.repeats or Schedule(3, int(10 * task.seconds), 30, {30: 100})
            step = 0.01 * task.candidate.macs / 1e6
            seconds = task.seconds * (self.hurry if task.length == FINAL else 1.0)
            yield task, Trained(schedule, seconds, seconds, step, 1e-4, logits)


class Counted(Costing):
    """Counts without building networks."""

    def _count(self, chain, image_size):
        parameters, macs = chain_counts(chain, image_size)
        return NetworkCosts(parameters, macs, 0, 0, 4 * parameters)


def better_when_deep(task):
    """A landscape: more layers are better, and so is more time."""
    depth = sum(stage.depth for stage in task.candidate.chain.stages)
    return min(0.99, 0.6 + 0.03 * depth + 0.05 * (task.length == "T/3") + 0.1 * (task.length == FINAL))


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes a fit of so many seconds in a folder; gives it and its workers."""
    clock = Clock()
    monkeypatch.setattr("zarts.planner.budget.time", clock)
    monkeypatch.setattr("zarts.planner.candidates.time", clock)
    path = ComputePath("32-true", "channels-last", "torch", 1)
    monkeypatch.setattr(Paths, "fastest", lambda *_: path)
    for module in ("fit", "time_plan"):  # epochs shall not end a training: these steps take no time
        monkeypatch.setattr(f"zarts.planner.{module}.MOST", 1e9)
    monkeypatch.setattr("zarts.planner.time_plan.ENOUGH", 10**9)

    def made(name="run", seconds=2400.0, quality=better_when_deep, repeats=None, before=0.0, baselines=(), **how):
        clock.now, folder = 0.0, tmp_path / name
        folder.mkdir(exist_ok=True)
        given = {"data": "digits", "max_params": "20k", "time": seconds, **how.pop("settings", {})}
        settings = fit_settings(given | ({"plan": repeats} if repeats else {}))
        pictures = Pictures(lambda size: DIGITS, [8], 0, DIGITS)
        card = ModelCard(handmade("resnet8"), 0, 0, "", DIGITS.classes, 8, DIGITS.mean, DIGITS.std)
        workers = Pretended(clock, pictures, quality, **how)
        budget = Budget(float("inf") if repeats else seconds, 0.0, before, 10.0)
        plan = Plan(folder / PLAN, repeats)
        notes = []
        candidates = Candidates(folder, pictures, Counted(settings, card), plan, budget, workers, ERROR, notes.append)
        fit = Fit(settings, pictures, candidates, plan, budget, workers, notes.append, lambda: None, baselines)
        return SimpleNamespace(fit=fit, workers=workers, clock=clock, notes=notes, plan=folder / PLAN)

    return made


def run(made):
    for stage in (made.fit.compare_handmade, made.fit.search, made.fit.train_longer):
        stage()
    return made.fit.train_finalists()


def test_a_search_ends_with_a_found_and_a_handmade_finalist_of_equal_seeds_and_time(make):
    made = make()
    found, known = run(made)
    assert (found.origin, known.origin) == ("found", "hand-made")
    assert sum(stage.depth for stage in found.chain.stages) > 3  # deeper than ResNet-8: the landscape was climbed
    finals = [task for task in made.workers.trained if task.length == FINAL]
    assert len({task.seed for task in finals}) == 1
    assert len({task.seconds for task in finals}) == 1
    assert {task.continues for task in finals} == {None}
    assert finals[0].seed not in {task.seed for task in made.workers.trained if task.length != FINAL}
    assert made.clock.now <= 2400 - 10
    assert sum(task.seconds for task in finals) >= 2400 / 3.3
    tried = [task for task in made.workers.trained if task.length == "T/9"]
    assert len({task.seconds for task in tried}) == 1
    assert all(one.parameters <= 20_000 for one in made.fit.candidates.all)
    handmade_ones = [task for task in tried if task.candidate.origin == "hand-made"]
    assert tried[: len(handmade_ones)] == handmade_ones  # they come first
    second = [task for task in made.workers.trained if (task.length, task.seed) == ("T/3", 1)]
    assert {task.candidate.origin for task in second} == {"found", "hand-made"}


def test_a_slow_network_becomes_the_finalist_if_more_steps_make_it_the_best(make):
    """Errors are u + 40 n^-0.8: after T/3 those of fast networks are smaller, the slow one's u is."""
    fit = make().fit
    known, own, steps = fit.candidates, [0.25, 0.15, 0.02, 0.15], [800, 800, 400, 2400]

    def keep(one, length, n, u):
        value = u + 40 * n**-0.8
        score = Score(one.number, length, 0, Schedule(1, n, 1, {}), 60.0, 100 * (1 - value), value, 60 / n)
        known.scores[one.number, length] = [score]

    added = [known.add(handmade("vgg", 0.1 * width).for_images(8), 8, "found") for width in range(1, 5)]
    for one, n, u in zip(added, steps, own, strict=True):
        keep(one, "T/3", n, u)
    assert known.promises("T/3") == {one.number: known.value(one, "T/3") for one in added}  # no curve is known
    assert known.finalist("found") == known.best_so_far() == added[3]
    for one, n, u in zip(added[:2], steps, own, strict=False):
        keep(one, "T/9", n // 3, u)
    times = fit.time.final / known.lengths["T/3"]
    assert times == pytest.approx(3)
    in_the_end = {one.number: u + 40 * (times * n) ** -0.8 for one, n, u in zip(added, steps, own, strict=True)}
    assert known.promises("T/3") == pytest.approx(in_the_end, rel=1e-2)
    assert known.finalist("found") == added[2]
    assert known.best_so_far() == added[3]
    assert known.finalist("yours") is None


def test_hand_made_networks_are_narrower_where_the_time_is_short(make):
    """The widest one has time for 2.5 epochs, so a quarter of the limits comes first, and half of them."""
    assert [first_share(epochs) for epochs in (100.0, 8.0, 5.0, 2.5, 0.1, 1e-9)] == [1, 1, 0.5, 0.25, 1 / 64, 1 / 64]
    made = make()
    made.fit._epoch = made.fit.time.final / 2.5
    finalists = run(made)
    trained = [task for task in made.workers.trained if task.length == "T/9"]
    tried = [task.candidate for task in trained if task.candidate.origin == "hand-made"]
    assert [one.chain.name for one in tried[:3]] == ["resnet8", "resnet8", "vgg"]
    assert 4000 < tried[0].parameters <= 5000
    assert 9000 < tried[1].parameters <= 10000
    assert any("narrower ones" in remark for remark in made.fit.remarks)
    assert [one.origin for one in finalists] == ["found", "hand-made"]


def test_what_was_done_is_not_done_again(make):
    first = make("whole")
    finalists = run(first)
    second = make("cut", dies_after=9)
    with pytest.raises(Interrupted):
        run(second)
    again = make("cut", before=second.clock.now)
    assert run(again) == finalists
    assert len(again.workers.trained) == len(first.workers.trained) - 9
    scores = [
        {key: [replace(one, seconds=round(one.seconds, 6)) for one in found] for key, found in scores.items()}
        for scores in (again.fit.candidates.scores, first.fit.candidates.scores)
    ]
    assert scores[0] == scores[1]
    finished = make("cut")
    assert run(finished) == finalists
    assert finished.workers.trained == []


def test_a_repeated_fit_tries_the_same_networks_for_as_many_steps(make):
    first = make("first")
    finalists = run(first)
    second = make("second", repeats=first.plan, slowness=3.0, hurry=0.1)  # finals last less than a third of them did
    assert run(second) == finalists
    assert second.fit.remarks == first.fit.remarks
    schedules = [
        {(s.candidate, s.length, s.seed): s.schedule for scores in made.fit.candidates.scores.values() for s in scores}
        for made in (first, second)
    ]
    assert schedules[0] == schedules[1]
    assert all(task.deadline is None for task in second.workers.trained)


def test_on_a_busy_machine_fewer_networks_are_tried_and_the_time_is_kept(make):
    made = make(slowness=2.5)
    run(made)
    assert made.clock.now <= 2400
    assert len(made.workers.trained) < len(run_of(make("idle")).workers.trained)


def test_processes_have_started_before_the_networks_that_there_is_time_for_are_counted(make):
    made = make(seconds=600.0, starts=100.0)
    run(made)
    assert made.workers.starts == 0
    assert made.workers.late == []


def test_no_process_waits_while_the_first_network_is_trained(make):
    """Of images of 8 pixels there is one ResNet-8 to begin with; another network is trained beside it.

    Before a search two are trained anyway, as two curves tell what more steps bring.
    """
    alone, searching, both = make("alone", seconds=240.0), make("searching"), make("both", processes=2)
    for made, names in ((alone, ["resnet8"]), (searching, ["resnet8", "vgg"]), (both, ["resnet8", "vgg"])):
        made.fit.compare_handmade()
        (length, _), *_ = made.fit.time.lengths
        assert made.workers.groups[1] == [(name, length) for name in names]
    again = make("both")  # goes on with one process
    run(again)
    (second,) = [one.chain.name for one in again.fit.candidates.all if one.number == 2]
    assert second == "vgg"


def run_of(made):
    run(made)
    return made


def test_all_seeds_of_the_finalists_train_at_once_where_there_are_processes_for_them(make):
    made = make(processes=4)
    found, known = run(made)
    assert [len(group) for group in made.workers.groups if group and group[0][1] == FINAL] == [4]
    for one in (found, known):
        first, second = made.fit.candidates.scores[one.number, FINAL]
        assert first.seconds == second.seconds >= 0.3 * 2400
    assert made.clock.now <= 2400


def test_a_short_fit_proposes_nothing_that_trains_slowly(make):
    """Of 150 epochs of a final training depthwise convolutions and dropout are among the proposals, of 20 not."""
    for epochs, slow in ((150, True), (20, False)):
        made = make(f"{epochs}", seconds=6000.0)
        made.fit._epoch = made.fit.time.final / epochs
        run(made)
        found = [one.chain for one in made.fit.candidates.all if one.origin == "found"]
        assert len(found) > 10
        assert any(map(is_slow, found)) is slow


def test_a_network_that_another_one_dwarfs_is_not_tried():
    one, other = Candidate(1, "", "hand-made", handmade("resnet8"), 8, None, "", 1000, 9000), None
    for parameters, macs, tried in ((124, 1124, False), (126, 1124, True), (124, 1126, True)):
        other = replace(one, number=2, parameters=parameters, macs=macs)
        assert worthwhile([one, other], 8.0) == [one, other][: 1 + tried]
        assert worthwhile([other, one], 8.0) == [other, one][not tried :]
    assert worthwhile([one, other], math.inf) == [one, other]


def test_the_first_networks_of_a_search_take_what_one_width_leaves_of_the_limits(make):
    """Multiply-adds bind the early layers, parameters the late ones."""
    limits = {"max_params": "30k", "max_macs": "120k"}
    made = make(settings=limits, quality=lambda task: 0.7)
    run(made)
    known = made.fit.candidates.all
    first = next(number for number, one in enumerate(known) if one.origin == "found")
    wide, one_width = known[first], known[known[first].parent - 1]
    assert one_width.origin == "hand-made"
    assert [replace(stage, width=1) for stage in wide.chain.stages] == [
        replace(stage, width=1) for stage in one_width.chain.stages
    ]
    assert wide.parameters > 1.15 * one_width.parameters
    assert wide.macs <= 120_000
    assert wide.parameters <= 30_000

    def bad(task):
        return 0.2 if task.candidate.chain.name == one_width.chain.name else 0.7

    others = make("others", settings=limits, quality=bad)  # the only one that would be wider is far behind
    run(others)
    assert '"filled": []' in others.plan.read_text()

    drawn = make("drawn", settings={**limits, "optimizer": "random"})
    run(drawn)
    assert '"filled"' not in drawn.plan.read_text()
    before = made.plan.with_name("before.yaml")  # of a version that had none
    lines = [line for line in made.plan.read_text().splitlines(keepends=True) if "filled" not in line]
    before.write_text("".join(lines))
    again = make("again", settings=limits, repeats=before)
    again.fit.compare_handmade()
    again.fit.search()
    assert "filled" not in again.plan.read_text()


def test_three_rounds_that_bring_nothing_end_a_search(make):
    quality, limits = (lambda task: 0.9 if task.candidate.number == 1 else 0.3), {"max_params": "100k"}
    made = make(seconds=20_000.0, quality=quality, settings=limits)  # of which one width leaves next to nothing
    run(made)
    assert '"filled": []' in made.plan.read_text()
    assert "3 rounds" in made.fit.ended
    assert any("3 rounds" in note["text"] for note in made.notes)
    tried = [one for one in made.fit.candidates.all if one.origin == "found"]
    assert len(tried) == 12


def test_with_too_little_time_only_handmade_networks_are_tried(make):
    made = make(seconds=240.0)
    (only,) = run(made)
    assert only.origin == "hand-made"
    assert "that takes" in made.fit.time.why
    assert {one.origin for one in made.fit.candidates.all} == {"hand-made"}


def test_a_searched_network_that_promises_clearly_less_leaves_its_time_to_the_hand_made_one(make):
    def quality(task):
        return better_when_deep(task) - 0.2 * (task.candidate.origin == "found")

    both = make("both")
    (_, known), seconds = run(both), []
    assert not both.fit.hopeless
    seconds.append(both.fit.candidates.scores[known.number, FINAL][0].seconds)
    made = make("worse", quality=quality)
    (alone,) = run(made)
    assert (alone.origin, made.fit.hopeless) == ("hand-made", True)
    seconds.append(made.fit.candidates.scores[alone.number, FINAL][0].seconds)
    assert seconds[1] > 1.8 * seconds[0]
    assert made.clock.now <= 2400
    again = make("again", quality=quality, repeats=made.plan)
    assert run(again) == [alone]


def test_a_searched_network_must_promise_more_than_the_hand_made_one_with_the_time_of_both():
    assert not finals._is_too_little(0.19, 0.20, 0.195, 5000)
    assert finals._is_too_little(0.197, 0.20, 0.195, 5000)
    # where both are trained side by side it gains nothing: one standard error is 0.008, a twentieth 0.010
    assert not finals._is_too_little(0.209, 0.20, 0.20, 5000)
    assert finals._is_too_little(0.211, 0.20, 0.20, 5000)
    assert not finals._is_too_little(0.25, 0.20, 0.20, 100)
    # macro-F1, of which more is better: values are below 0, and the margins are those of 0.8
    assert not finals._is_too_little(-0.765, -0.80, -0.80, 5000)
    assert finals._is_too_little(-0.755, -0.80, -0.80, 5000)


def test_a_plan_from_before_muon_is_repeated_with_sgd(make):
    made = make(seconds=240.0)
    run(made)
    assert made.fit.recipe.muon_rate > 0
    before = made.plan.with_name("before.yaml")
    before.write_text("".join(line for line in made.plan.read_text().splitlines(True) if '"muon"' not in line))
    assert make("before", repeats=before).fit.recipe.muon_rate == 0
    assert make("again", repeats=made.plan).fit.recipe.muon_rate == made.fit.recipe.muon_rate


def test_each_network_trains_in_the_precision_in_which_it_is_fastest(make, monkeypatch):
    def path(chain):
        return ComputePath("32-true" if is_slow(chain) else "bf16-mixed", "channels-last", "native", 1)

    def measure(workers, asked):
        assert {recipe.precision for recipe, _ in asked} <= {"auto"}
        return [path(card.architecture) for _, card in asked]

    def trained(made):
        run(made)
        short = [task for task in made.workers.trained if task.seconds < 20 and task.length != "trial"]
        assert {task.recipe.precision for task in short} <= {"bf16-mixed"}  # the path of the fit
        return [task for task in made.workers.trained if task.seconds >= 20]

    monkeypatch.setattr(Paths, "fastest", lambda paths, one, recipe: path(one.chain))
    monkeypatch.setattr(Pretended, "measure", measure)
    made = make()
    tasks = trained(made)
    assert {is_slow(task.candidate.chain) for task in tasks} == {True, False}
    assert all((task.recipe.precision == "32-true") == is_slow(task.candidate.chain) for task in tasks)

    def unasked(*given):
        assert not given[-1], "the plan has it"
        return []

    monkeypatch.setattr(Paths, "fastest", unasked)
    monkeypatch.setattr(Pretended, "measure", unasked)
    again = trained(make("again", repeats=made.plan))
    assert [task.recipe for task in again] == [task.recipe for task in tasks]
    before = made.plan.with_name("before.yaml")
    before.write_text("".join(line for line in made.plan.read_text().splitlines(True) if '"paths"' not in line))
    assert {task.recipe.precision for task in trained(make("before", repeats=before))} == {"bf16-mixed"}


def test_final_trainings_are_never_shorter_than_those_before(make):
    """Where a fit was kept from going on until its time was over, those of a third are compared."""
    made = make()
    for stage in (made.fit.compare_handmade, made.fit.search, made.fit.train_longer):
        stage()
    made.clock.now = 2390 - 100
    found, known = made.fit.train_finalists()
    assert not [task for task in made.workers.trained if task.length == FINAL]
    assert "no time" in made.fit.remarks[0]
    for one in (found, known):
        assert made.fit.candidates.scores[one.number, FINAL] == made.fit.candidates.scores[one.number, "T/3"][:1]


def test_images_of_final_trainings_are_cropped_where_the_network_takes_epochs_enough(make, monkeypatch):
    """By the epochs of each finalist, not by those of the network that was timed first."""

    def crops(made):
        pair = run(made)
        given = {
            task.candidate.number: task.recipe.crop_padding for task in made.workers.trained if task.length == FINAL
        }
        return [given[one.number] for one in pair]

    made = make("first")
    steps = [0.01 * one.macs / 1e6 for one in run(made)]  # seconds of one, see `Pretended`
    epoch = made.fit.pictures.train_count / made.fit.recipe.batch_size
    final = made.fit.candidates.scores[made.fit.finalists()[0].number, FINAL][0].seconds
    by_number = {one.number: final / step / epoch for one, step in zip(made.fit.finalists(), steps, strict=True)}
    found = Plan(made.plan).decided("epochs", epochs_by_number)
    assert {number: found[number] for number in by_number} == pytest.approx(by_number, rel=0.05)

    monkeypatch.setitem(time_plan._RULES, "cropped", sum(by_number.values()) / 2)
    expected = [None if epochs == max(by_number.values()) else 0 for epochs in by_number.values()]
    split = make("split")
    assert crops(split) == expected
    assert crops(make("again", repeats=split.plan)) == expected
    assert crops(make("given", settings={"crop_padding": 2})) == [2, 2]

    lines = [line for line in split.plan.read_text().splitlines(keepends=True) if '"epochs":' not in line]
    split.plan.write_text("".join(lines))  # as fits wrote it that cropped for all or for none
    before = make("before", repeats=split.plan)
    assert crops(before) == [before.fit.recipe.crop_padding] * 2


def test_a_network_that_diverges_is_not_taken(make):
    made = make(quality=lambda task: None if task.candidate.number == 1 and task.length != "trial" else 0.5)
    assert 1 not in [one.number for one in run(made)]
    assert any("diverged" in note["text"] for note in made.notes)


def test_ranks_of_two_lengths_are_compared_over_eight_networks(make):
    made = make(seconds=20_000.0)
    run(made)
    (short, long, found), *_ = made.fit.advance.agreements
    assert (short, long) == ("T/27", "T/9")
    assert found.n >= 8
    assert found.low <= found.value <= found.high


def test_networks_of_the_user_are_compared_as_they_are(make):
    """First of all, not scaled to the limits; the best of all wins; one beyond the limits is an error."""
    mine = handmade("resnet8", 0.3)
    made = make(baselines=[mine], quality=lambda task: 0.9 if task.candidate.number == 1 else 0.5)
    pair = run(made)
    assert made.workers.trained[1].candidate.chain == mine.for_images(8)  # after the one that is timed
    assert (pair[-1].number, pair[-1].origin) == (1, "yours")
    with pytest.raises(SettingsError, match=r"baselines: resnet8.* is not within the limits: .* > 20,000"):
        make("wide", baselines=[handmade("resnet8")])


def test_a_network_of_the_user_is_trained_once_also_where_a_hand_made_one_is_the_same(make):
    first = next(one for one in make().fit.candidates.all if one.origin == "hand-made")
    made = make("again", baselines=[first.chain])
    run(made)
    trained = [task.key for task in made.workers.trained if task.length != "trial"]
    assert len({*trained}) == len(trained)


def test_a_search_begins_at_the_best_network_that_it_can_change(make):
    chain = handmade("resnet8", 0.3)
    mine = replace(chain, stem=replace(chain.stem, kernel=5))  # the space has 3 only
    made = make(
        baselines=[mine], quality=lambda task: 0.9 if task.candidate.number == 1 else better_when_deep(task) / 2
    )
    pair = run(made)
    assert pair[-1].number == 1
    assert any("leads, and is of no form that is searched" in note["text"] for note in made.notes)
    assert any(one.origin == "found" for one in made.fit.candidates.all)


def test_shares_in_which_nothing_fits_are_doubled(make):
    made = make(settings={"max_params": 200})
    made.fit._epoch = made.fit.time.final  # an epoch: networks begin at a small share of the limits
    run(made)
    assert {one.origin for one in made.fit.candidates.at("T/3")} >= {"hand-made"}


def test_a_search_ends_when_measuring_latencies_has_taken_its_time(make, monkeypatch):
    """As one that needs 60 s for each on the device. A repeated fit, which has all time, tries the same networks."""
    widest, made = Counted.widest, make()

    def slow(costing, chain, size, share=1.0, asked=lambda: None):
        asked()
        made.clock.now += 60.0
        return widest(costing, chain, size, share)

    made.fit.compare_handmade()
    monkeypatch.setattr(Counted, "widest", slow)
    made.fit.search()
    assert made.fit.ended == "measuring latencies took the rest of its time"
    assert -60 < made.fit._budget.left() <= 0
    monkeypatch.setattr(Counted, "widest", widest)
    made.fit.train_longer()
    made.fit.train_finalists()
    assert made.clock.now < 2400 + 60
    again = make("again", repeats=made.plan)
    run(again)
    first, second = ([task.key for task in one.workers.trained if task.length != "trial"] for one in (made, again))
    assert second == first


def test_limits_that_nothing_keeps_are_an_error_with_the_smallest_figures(make):
    with pytest.raises(SettingsError, match=r"no hand-made network .* parameters [\d,]+ > 30\b"):
        make(settings={"max_params": 30})


def test_where_short_trainings_say_little_later_networks_are_trained_for_longer(make):
    """Good at T/27 is bad from T/9 on: half way the ranks are found to disagree, and later rounds begin at T/9."""

    def quality(task):
        rank = (7 * task.candidate.number) % 23 / 23
        return 0.3 + 0.6 * (rank if task.length == "T/27" else 1 - rank)

    made = make(seconds=20_000.0, quality=quality)
    run(made)
    assert made.fit.advance.agreements[0][2].high < 0.5
    at_once = [
        task.candidate.number
        for task in made.workers.trained
        if task.length == "T/9" and (task.candidate.number, "T/27") not in made.fit.candidates.scores
    ]
    assert at_once
    assert min(at_once) > max(number for number, length in made.fit.candidates.scores if length == "T/27")
    assert any("from here on" in note["text"] for note in made.notes)
    trusted = make("trusted", seconds=20_000.0)
    run(trusted)
    assert all((one.number, "T/27") in trusted.fit.candidates.scores for one in trusted.fit.candidates.all)
    assert made.clock.now <= 20_000
