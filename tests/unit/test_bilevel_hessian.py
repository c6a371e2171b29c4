"""The dominant eigenvalue against closed forms, and against the whole Hessian of a supernet's loss."""

import copy
import math

import pytest
import torch
from test_bilevel import RHO, Quadratic
from torch.nn import functional as F

from zarts.bilevel import BatchLoss, Bilevel, dominant_eigenvalue, lanczos
from zarts.networks import seeded
from zarts.relax import softmax
from zarts.spaces import get_space
from zarts.supernet import build_supernet

VAL, TRAIN = (torch.ones(1), torch.ones(1)), (torch.zeros(1), torch.zeros(1))


@pytest.mark.parametrize("values", [[5.0, 1.0, -3.0], [1.0, -9.0, 0.5], [-1.0, -2.0, -7.0], [2.0, 2.0, 2.0], [0.0] * 3])
def test_lanczos_finds_the_largest_eigenvalue_not_that_of_the_largest_size(generator, values):
    basis = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64)).Q
    matrix = basis @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ basis.T
    found = lanczos(lambda v: matrix @ v, torch.randn(3, generator=generator, dtype=torch.float64))
    assert found == pytest.approx(max(values), abs=1e-9)


def test_lanczos_in_many_dimensions(generator):
    matrix = torch.randn(196, 196, generator=generator, dtype=torch.float64)
    matrix = (matrix + matrix.T) / 2
    matrix[0, 0] += 60
    exact = float(torch.linalg.eigvalsh(matrix)[-1])
    products = []
    start = torch.randn(196, generator=generator, dtype=torch.float64)
    found = lanczos(lambda v: products.append(v) or matrix @ v, start)
    assert found == pytest.approx(exact, rel=1e-3)
    assert len(products) <= 20
    assert lanczos(lambda v: matrix @ v, start, steps=1) < exact, "from below"


def test_of_a_quadratic(generator):
    toy = Quadratic()
    alpha = torch.randn(4, generator=generator, dtype=torch.float64)
    exact = float(torch.linalg.eigvalsh(toy.a.T @ toy.a)[-1])
    assert dominant_eigenvalue(toy.problem, alpha, [TRAIN], generator) == pytest.approx(exact, rel=1e-3)
    assert dominant_eigenvalue(toy.problem, alpha, [VAL, VAL], generator) == pytest.approx(RHO)


def test_what_is_not_finite_has_no_eigenvalue():
    assert math.isnan(lanczos(lambda v: v * torch.nan, torch.ones(3, dtype=torch.float64)))


@pytest.mark.parametrize(("name", "native"), [("s4", True), ("nasbench201", False), ("nasbench201", True)])
def test_of_a_supernet(generator, name, native):
    """Through the native kernels too; weights, statistics, random numbers and modes are as before."""
    space, noise = get_space(name), torch.Generator().manual_seed(2)
    with seeded(0):
        cells = 3 if name == "s4" else 1
        model = build_supernet(space, channels=4, cells=cells, num_classes=3, generator=noise, native=native).double()
    batch = torch.randn(6, 3, 4, 4, generator=generator).double(), torch.arange(6) % 3

    def forward(alpha, batch):
        logits = model(batch[0], softmax(space.split(alpha)))
        return BatchLoss(F.cross_entropy(logits, batch[1]), torch.tensor(0))

    problem = Bilevel(model, torch.optim.SGD(model.parameters(), lr=0.1), forward, generators=[noise])
    model.eval()
    alpha = torch.randn(space.dimension, generator=generator).double()
    before, state = copy.deepcopy(model.state_dict()), noise.get_state()
    found = dominant_eigenvalue(problem, alpha, [batch], generator)
    assert not model.training
    assert all(p.requires_grad for p in model.parameters())
    assert torch.equal(noise.get_state(), state)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    model.train()

    def loss(alpha):
        noise.set_state(state)
        return forward(alpha, batch).loss

    hessian = torch.autograd.functional.hessian(loss, alpha)
    assert found == pytest.approx(float(torch.linalg.eigvalsh(hessian)[-1]), rel=1e-2)
