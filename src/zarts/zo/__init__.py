"""Zero-order optimisers over one flat vector, by ask and tell; they know no network.

Make one through `OPTIMIZERS`, then use only `anneal`, `ask`, `tell` and the state.

```python
optimizer = OPTIMIZERS["mgs"](torch.zeros(196), torch.Generator().manual_seed(0), mixture_lambda=1.0)
for step in range(steps):
    optimizer.anneal(step / steps)
    points = optimizer.ask()
    optimizer.tell(torch.stack([loss(point) for point in points]))
```
"""

from __future__ import annotations

from collections.abc import Callable

from zarts.zo.base import Step, ZeroOrderOptimizer
from zarts.zo.gradientless import GradientlessDescent
from zarts.zo.mgs import GuidedSearch
from zarts.zo.random_search import RandomSearch
from zarts.zo.third_party import Cmaes, ExternalOptimizer, Nevergrad

__all__ = [
    "OPTIMIZERS",
    "Cmaes",
    "ExternalOptimizer",
    "GradientlessDescent",
    "GuidedSearch",
    "Nevergrad",
    "RandomSearch",
    "Step",
    "ZeroOrderOptimizer",
]

OPTIMIZERS: dict[str, Callable[..., ZeroOrderOptimizer]] = {
    "mgs": GuidedSearch,
    "rs": RandomSearch,
    "gld": GradientlessDescent,
    "cmaes": Cmaes,
    "nevergrad": Nevergrad,
}
