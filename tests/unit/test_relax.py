"""Relaxations: distributions and gradients as their formulas say."""

import pytest
import torch

from zarts.networks import seeded
from zarts.relax import (
    RELAXATIONS,
    Parameterization,
    RelaxationContext,
    adversarial,
    gumbel,
    gumbel_soft,
    noisy,
    path,
    perturbed,
    sample_cell,
    softmax,
    uniform,
)
from zarts.relax.gumbel import gumbel_noise
from zarts.relax.smooth_darts import _mixtures
from zarts.spaces import SPACES, get_space
from zarts.supernet import SuperNet


def random_alpha(space, seed=0, scale=1.0):
    return scale * torch.randn(space.dimension, generator=torch.Generator().manual_seed(seed))


def context(space, progress=0.0, seed=1, elapsed=0.0):
    return RelaxationContext(space, torch.Generator().manual_seed(seed), progress, elapsed)


@pytest.mark.parametrize("name", RELAXATIONS)
@pytest.mark.parametrize("space", SPACES)
def test_shapes_seeds_and_random_state(name, space):
    space = get_space(space)
    alpha = space.split(random_alpha(space).abs())
    before = torch.get_rng_state()
    first, again = (RELAXATIONS[name](alpha, context(space)) for _ in range(2))
    other = RELAXATIONS[name](alpha, context(space, seed=2))
    assert torch.equal(torch.get_rng_state(), before)
    assert {kind: tuple(w.shape) for kind, w in first.items()} == space.shapes
    assert torch.equal(space.flatten(first), space.flatten(again))
    assert torch.equal(space.flatten(first), space.flatten(other)) == (name in ("softmax", "cell", "adversarial"))
    assert all(w.isfinite().all() and (w >= 0).all() for w in first.values())


def test_gumbel_draws_each_operation_by_its_softmax():
    space = get_space("nasbench201")
    alpha = space.split(random_alpha(space))
    at = context(space)
    total = sum(gumbel(alpha, at)["normal"] for _ in range(4000)) / 4000
    assert set(gumbel(alpha, at)["normal"].unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(total, softmax(alpha)["normal"], atol=0.03, rtol=0)


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_the_straight_through_gradient_is_that_of_the_soft_draw(progress):
    """For p = softmax(z / tau), dp_i / dz_j = p_i (delta_ij - p_j) / tau, and z = log softmax(alpha) + g."""
    space = get_space("nasbench201")
    alpha = random_alpha(space).double().requires_grad_()
    loss_gradient = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    at = context(space, progress)
    weights = gumbel(space.split(alpha), at, temperature=10.0, temperature_min=0.1)["normal"]
    (gradient,) = torch.autograd.grad((weights * loss_gradient).sum(), alpha)
    tau = 10.0 + (0.1 - 10.0) * progress
    matrix = space.split(alpha.detach())["normal"]
    noise = gumbel_noise(matrix, torch.Generator().manual_seed(1))
    p = ((matrix.log_softmax(-1) + noise) / tau).softmax(-1)
    in_z = p * (loss_gradient - (p * loss_gradient).sum(-1, keepdim=True)) / tau
    expected = in_z - matrix.softmax(-1) * in_z.sum(-1, keepdim=True)
    torch.testing.assert_close(gradient, expected.flatten())
    torch.testing.assert_close(weights.detach(), torch.nn.functional.one_hot(p.argmax(-1), 5).double())


def test_the_forward_pass_is_that_of_the_discrete_path():
    """With and without a gradient, at any temperature: the network of the drawn operations alone."""
    space = get_space("s3")
    net = SuperNet(space, channels=4, cells=3, num_classes=5, in_channels=1).double()
    images = torch.randn(3, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    alpha = random_alpha(space).double()
    path = gumbel(space.split(alpha), context(space, 1.0))
    assert all((rows.sum(-1) == 1).all() and set(rows.unique().tolist()) <= {0.0, 1.0} for rows in path.values())
    differentiable = gumbel(space.split(alpha.requires_grad_()), context(space, 1.0))
    torch.testing.assert_close(net(images, differentiable), net(images, path))


@pytest.mark.usefixtures("unchecked")
def test_gates_are_drawn_by_softmax_and_have_the_gradient_of_the_paper():
    """dL/dalpha_i = sum_j dL/dg_j p_j (delta_ij - p_i), by hand."""
    space = get_space("nasbench201")
    alpha = random_alpha(space).double().requires_grad_()
    at = context(space)
    with torch.no_grad():
        draws = torch.stack([path(space.split(alpha), at)["normal"] for _ in range(4000)])
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    p = space.split(alpha.detach())["normal"].softmax(-1)
    torch.testing.assert_close(draws.mean(0), p, atol=0.03, rtol=0)
    gates = path(space.split(alpha), at)["normal"]
    torch.testing.assert_close(gates.detach().sort(-1).values, torch.eye(5, dtype=torch.float64)[4].expand(6, 5))
    loss_gradient = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    (gradient,) = torch.autograd.grad((gates * loss_gradient).sum(), alpha)
    by_hand = [
        [sum(loss_gradient[e, j] * p[e, j] * (float(i == j) - p[e, i]) for j in range(5)) for i in range(5)]
        for e in range(6)
    ]
    torch.testing.assert_close(gradient.view(6, 5), torch.tensor(by_hand, dtype=torch.float64))


@pytest.mark.parametrize(("progress", "tau"), [(0.0, 5.0), (0.5, (5.0 * 0.09) ** 0.5), (1.0, 0.09)])
def test_soft_draws_at_an_annealed_temperature(progress, tau):
    space = get_space("nasbench201")
    alpha = space.split(random_alpha(space).double())
    found = gumbel_soft(alpha, context(space, progress), temperature=5.0, temperature_min=0.09)["normal"]
    noise = gumbel_noise(alpha["normal"], torch.Generator().manual_seed(1))
    torch.testing.assert_close(found, ((softmax(alpha)["normal"].log() + noise) / tau).softmax(-1))


@pytest.mark.usefixtures("unchecked")
def test_noise_has_its_standard_deviation():
    """Between two operations of an edge the logarithms differ by alpha's difference plus sqrt(2) sigma."""
    space = get_space("nasbench201")
    alpha, at = space.split(random_alpha(space)), context(space)
    logs = torch.stack([noisy(alpha, at, weight_noise=0.5)["normal"].log() for _ in range(3000)])
    gaps = logs[..., 1:] - logs[..., :1]
    expected = alpha["normal"][:, 1:] - alpha["normal"][:, :1]
    torch.testing.assert_close(gaps.mean(0), expected, atol=0.06, rtol=0)
    torch.testing.assert_close(gaps.std(0), torch.full((6, 4), 0.5 * 2**0.5), atol=0.05, rtol=0)


@pytest.mark.parametrize("space", ["s2", "darts-zero", "nasbench201"])
def test_uniform_cells_run_one_operation_on_the_edges_of_a_cell(space):
    space = get_space(space)
    alpha = space.split(random_alpha(space))
    at = context(space)
    for _ in range(20):
        weights = uniform(alpha, at)
        space.check(space.derive(weights))
        for rows in weights.values():
            assert rows.sum(-1).max() == 1
            assert rows.sum() == (len(rows) if space.keep is None else space.keep * space.nodes)


def shares(cells):
    """How often each operation stands on each edge."""
    return sum(space_weights["normal"] for space_weights in cells) / len(cells)


@pytest.mark.usefixtures("unchecked")
def test_sampled_cells_follow_softmax():
    space = get_space("nasbench201")
    alpha, generator = random_alpha(space), torch.Generator().manual_seed(0)
    drawn = [space.one_hot(sample_cell(space, alpha, generator)) for _ in range(4000)]
    torch.testing.assert_close(shares(drawn), softmax(space.split(alpha))["normal"], atol=0.03, rtol=0)


@pytest.mark.usefixtures("unchecked")
def test_sampled_cells_are_uniform_for_alpha_0():
    """Of DARTS' spaces too, where a node keeps two of its edges."""
    space = get_space("darts-zero")
    generator = torch.Generator().manual_seed(0)
    drawn = [space.one_hot(sample_cell(space, torch.zeros(space.dimension), generator)) for _ in range(2000)]
    expected = torch.tensor([2 / target / 7 for target, _ in space.edges])
    torch.testing.assert_close(shares(drawn)[:, 1:], expected[:, None].expand(-1, 7), atol=0.04, rtol=0)
    assert shares(drawn)[:, 0].sum() == 0


@pytest.mark.parametrize("name", ["perturbed", "adversarial"])
def test_a_box_of_radius_0_is_the_mixture(name):
    space = get_space("s3")
    alpha = space.split(random_alpha(space))
    weights = RELAXATIONS[name](alpha, context(space, 0.7), perturbation_start=0.0, perturbation=0.0)
    torch.testing.assert_close(dict(weights), softmax(alpha))


@pytest.mark.usefixtures("unchecked")
def test_draws_fill_a_box_that_grows():
    """Uniform in the box: of standard deviation radius / sqrt(3) before a row's sum is 1 again."""
    space = get_space("nasbench201")
    alpha = space.split(torch.zeros(space.dimension))
    for elapsed, radius in ((0.0, 0.03), (1.0, 0.06)):
        at = context(space, elapsed=elapsed)
        draws = torch.stack([perturbed(alpha, at, perturbation=0.06)["normal"] for _ in range(3000)])
        centred = (1 - 1 / 5) ** 0.5 * radius / 3**0.5  # the mean of five draws is taken away, to first order
        torch.testing.assert_close(draws.mean(0), torch.full((6, 5), 0.2), atol=4e-3, rtol=0)
        torch.testing.assert_close(draws.std(0), torch.full((6, 5), centred), atol=0, rtol=0.06)
        torch.testing.assert_close(draws.sum(-1), torch.ones(3000, 6))


def test_rows_that_a_wide_box_cuts_to_nothing_keep_their_largest_entry():
    """Half of all entries are below 0 then; in one row of 2 ** 5 all are, and each would be 0 / 0."""
    space = get_space("nasbench201")
    alpha, at = space.split(torch.zeros(space.dimension)), context(space)
    draws = torch.stack([perturbed(alpha, at, perturbation_start=1e6)["normal"] for _ in range(300)])
    torch.testing.assert_close(draws.sum(-1), torch.ones(300, 6))
    alone = (draws == 1).any(-1)
    assert alone.float().mean() == pytest.approx((1 + 5) / 2**5, abs=0.04), "none is above 0, or one is"


def test_ascent_makes_every_row_a_mixture_in_every_step():
    """On a loss that is linear in the weights, number by number: seven steps, each made a mixture."""
    space, radius = get_space("nasbench201"), 0.1 + 0.5 * (0.3 - 0.1)
    alpha = space.split(random_alpha(space))
    slope = [3.0, -1.0, -1.0, -0.5, 0.5]

    def linear(weights):
        return float((weights["normal"] @ torch.tensor(slope)).sum()), {"normal": torch.tensor(slope).expand(6, 5)}

    def mixture(row):
        cut = [min(max(entry, 0.0), 1.0) for entry in row]
        return [entry / sum(cut) for entry in cut]

    centre = softmax(alpha)["normal"].tolist()
    start = (2 * torch.rand(6, 5, generator=torch.Generator().manual_seed(1)) - 1).tolist()
    rows = [mixture([c + radius * s for c, s in zip(*both, strict=True)]) for both in zip(centre, start, strict=True)]
    for _ in range(7):
        steps = [[w + 2 / 7 * radius * (1 if g > 0 else -1) for w, g in zip(row, slope, strict=True)] for row in rows]
        rows = [
            mixture([min(max(w, c - radius), c + radius) for w, c in zip(*both, strict=True)])
            for both in zip(steps, centre, strict=True)
        ]
    at = context(space, progress=0.9, elapsed=0.5)._replace(loss_gradient=linear)
    torch.testing.assert_close(adversarial(alpha, at, perturbation_start=0.1)["normal"], torch.tensor(rows))
    flat = adversarial(alpha, context(space), perturbation_start=0.1)
    assert torch.equal(flat["normal"], softmax(alpha)["normal"]), "nothing is worse: the mixture stays"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("radius", [0.03, 0.3])
def test_the_ascent_climbs_higher_than_one_that_makes_mixtures_at_its_end_only(radius):
    """In a supernet, from the same starts: where the slopes of a row have one sign, the latter's steps are undone."""
    space = get_space("s3")
    with seeded(0):
        net = SuperNet(space, channels=4, cells=3, num_classes=10, in_channels=1)
        images, labels = torch.randn(16, 1, 8, 8), torch.randint(10, (16,))
    uniform_mixture = {kind: torch.full(shape, 1 / shape[1]) for kind, shape in space.shapes.items()}
    with torch.no_grad():
        for _ in range(30):
            net(images, uniform_mixture)  # running statistics
    net.eval()

    def loss_gradient(weights):
        weights = {kind: matrix.detach().requires_grad_() for kind, matrix in weights.items()}
        loss = torch.nn.functional.cross_entropy(net(images, weights), labels)
        return loss.item(), dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))

    for seed in range(3):
        alpha = space.split(random_alpha(space, seed, 1e-3))
        at = context(space, seed=seed)._replace(loss_gradient=loss_gradient)
        ours = loss_gradient(adversarial(alpha, at, perturbation_start=radius))[0]
        draws = torch.Generator().manual_seed(seed)
        centre = softmax(alpha)
        point = {kind: c + radius * (2 * torch.rand(c.shape, generator=draws) - 1) for kind, c in centre.items()}
        for _ in range(7):
            _, slope = loss_gradient(_mixtures(point))
            for kind, c in centre.items():
                point[kind] = (point[kind] + 2 / 7 * radius * slope[kind].sign()).clamp(c - radius, c + radius)
        assert ours > loss_gradient(_mixtures(point))[0] > loss_gradient(centre)[0]


def test_plain_edges_leave_a_relaxation_as_it_is():
    space, parameterization = get_space("s3"), Parameterization(get_space("s3"))
    alpha = random_alpha(space)
    assert parameterization.dimension == space.dimension
    assert (parameterization.edges(alpha), parameterization.betas(alpha)) == ({}, {})
    ours, theirs = parameterization.relax(noisy, alpha, context(space)), noisy(space.split(alpha), context(space))
    assert all(torch.equal(ours[kind], theirs[kind]) for kind in theirs)


def test_equal_weights_of_edges_share_a_node_among_them():
    space, parameterization = get_space("darts"), Parameterization(get_space("darts"), normalized=True)
    alpha = torch.cat([random_alpha(space), torch.full((28,), 0.7)])
    assert parameterization.dimension == 14 * 7 * 2 + 28 == len(parameterization.draw(torch.Generator()))
    share = torch.tensor([1 / target for target, _ in space.edges])
    expected = {kind: share[:, None] * matrix for kind, matrix in softmax(space.split(alpha[:196])).items()}
    for found in (
        parameterization.strengths(alpha),
        parameterization.relax(RELAXATIONS["softmax"], alpha, context(space)),
    ):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", ["softmax", "gumbel", "gumbel-soft", "path", "noisy", "perturbed", "adversarial"])
def test_weights_of_edges_multiply_any_relaxation(name):
    """Into each node they have the sum 1, by hand; what is drawn is the same as without them."""
    space, parameterization = get_space("s3"), Parameterization(get_space("s3"), normalized=True)
    alpha = torch.cat([random_alpha(space), torch.randn(28, generator=torch.Generator().manual_seed(3))])
    weights = parameterization.relax(RELAXATIONS[name], alpha, context(space, 0.5))
    without = RELAXATIONS[name](space.split(alpha[: space.dimension]), context(space, 0.5))
    for number, kind in enumerate(space.candidates):
        entries = alpha[space.dimension + 14 * number :][:14].exp()
        for target in range(2, 6):
            rows = [row for row, (node, _) in enumerate(space.edges) if node == target]
            beta = entries[rows] / entries[rows].sum()
            torch.testing.assert_close(weights[kind][rows], beta[:, None] * without[kind][rows])
            torch.testing.assert_close(weights[kind][rows].sum(), torch.tensor(1.0))


def test_a_box_is_searched_with_the_weights_of_the_edges_in_it():
    """The loss is that of the product, and its slope in the shares has the weight of the edge in it."""
    space, parameterization = get_space("s2"), Parameterization(get_space("s2"), normalized=True)
    alpha = parameterization.draw(torch.Generator().manual_seed(0))
    seen = []

    def loss_gradient(weights):
        seen.append(weights)
        return 0.0, {kind: torch.ones_like(matrix) for kind, matrix in weights.items()}

    slopes = []

    def spy(matrices, at):
        slopes.append(at.loss_gradient(softmax(matrices))[1])
        return softmax(matrices)

    parameterization.relax(spy, alpha, context(space)._replace(loss_gradient=loss_gradient))
    torch.testing.assert_close(seen[0], dict(parameterization.strengths(alpha)))
    torch.testing.assert_close(slopes[0]["normal"][:, 0], parameterization.betas(alpha)["normal"])


def test_all_entries_have_a_gradient():
    parameterization = Parameterization(get_space("s2"), normalized=True)
    alpha = parameterization.draw(torch.Generator().manual_seed(0)).double().requires_grad_()

    def total(alpha):
        weights = parameterization.relax(RELAXATIONS["softmax"], alpha, context(parameterization.space))
        return sum((matrix * torch.arange(matrix.numel()).view_as(matrix)).sum() for matrix in weights.values())

    assert torch.autograd.gradcheck(total, alpha)
    assert (torch.autograd.grad(total(alpha), alpha)[0] != 0).all()
