"""The three zero-order optimisers alone, on a function of your own: Rosenbrock's valley, without its gradient.

python examples/ask_tell.py
"""

import torch

from zarts.zo import OPTIMIZERS


def rosenbrock(points: torch.Tensor) -> torch.Tensor:
    x, y = points.unbind(-1)
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


SETTINGS = {
    "mgs": {"samples": 16, "sigma": 0.3, "mixture_lambda": 1.0, "esr_target": 0.2},  # lambda = 1: no gradient
    "rs": {"samples": 8, "smoothing": 1e-3, "arch_learning_rate": 1e-3},
    "gld": {"radius_max": 1.0, "radius_min": 1e-3},
}


def main(steps: int = 500) -> dict[str, float]:
    losses = {}
    for name, settings in SETTINGS.items():
        optimizer = OPTIMIZERS[name](torch.tensor([-1.0, 1.0]), torch.Generator().manual_seed(0), **settings)
        for step in range(steps):
            optimizer.anneal(step / steps)
            points = optimizer.ask()
            optimizer.tell(rosenbrock(points))
        losses[name] = float(rosenbrock(optimizer.x))
        print(f"{name:4} loss {losses[name]:.2e} at {[round(v, 3) for v in optimizer.x.tolist()]}  (start: 4.0)")
    return losses


if __name__ == "__main__":
    main()
