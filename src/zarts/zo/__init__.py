"""Zero-order optimisers over one flat vector, by ask and tell; they know no network.

Make one by its class or through `OPTIMIZERS`, then use only `anneal`, `ask`, `tell` and the state.

```python
optimizer = zarts.zo.MGS(torch.zeros(196), samples=8)
for step in range(steps):
    optimizer.anneal(step / steps)
    points = optimizer.ask()
    optimizer.tell([loss(point) for point in points])
optimizer.x
```

`MGS`, `RS`, `GLD` and `CMAES` are the papers' short names of the classes.
"""

from __future__ import annotations

from collections.abc import Callable

from zarts.zo.base import Step, ZeroOrderOptimizer
from zarts.zo.gradientless import GradientlessDescent
from zarts.zo.mgs import GuidedSearch
from zarts.zo.random_search import RandomSearch
from zarts.zo.third_party import Cmaes, ExternalOptimizer, Nevergrad

__all__ = [
    "CMAES",
    "GLD",
    "MGS",
    "OPTIMIZERS",
    "RS",
    "Cmaes",
    "ExternalOptimizer",
    "GradientlessDescent",
    "GuidedSearch",
    "Nevergrad",
    "RandomSearch",
    "Step",
    "ZeroOrderOptimizer",
]

MGS, RS, GLD, CMAES = GuidedSearch, RandomSearch, GradientlessDescent, Cmaes

OPTIMIZERS: dict[str, Callable[..., ZeroOrderOptimizer]] = {
    "mgs": GuidedSearch,
    "rs": RandomSearch,
    "gld": GradientlessDescent,
    "cmaes": Cmaes,
    "nevergrad": Nevergrad,
}
