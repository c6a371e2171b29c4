"""Settings of what is searched and how: the space, the method and its axes."""

from __future__ import annotations

from zarts.config.base import Settings, setting

__all__ = ["MethodSettings"]


class MethodSettings(Settings):
    """Space, method, and the axes of the method, which can be replaced one by one."""

    space: str = setting(
        "darts",
        "darts, darts-zero, s1, s2, s3, s4, nasbench201, or a YAML file with a space of your own",
        panel="Search",
    )
    method: str = setting("zarts", "how to search: a row of `zarts list methods`", panel="Search")
    arch_optimizer: str = setting(
        "none",
        "what updates alpha, instead of the method's own: mgs, rs, gld, cmaes, nevergrad:NAME (packages of their own), "
        "gradient, unrolled, amended, reinforce or none",
        panel="Search",
    )
    relaxation: str = setting(
        "softmax",
        "alpha to operation weights, instead of the method's own: softmax, gumbel, gumbel-soft, path, cell or none",
        panel="Search",
    )
    weight_relaxation: str = setting(
        "same",
        "relaxation at which weights train, instead of the method's own: same, softmax, noisy, perturbed, adversarial, "
        "gumbel, gumbel-soft, path or uniform",
        panel="Search",
    )
    supernet: str = setting(
        "mixed",
        "network that shares weights, instead of the method's own: mixed, partial (operations see 1 / K of the "
        "channels) or merged (the convolutions of an edge share one kernel)",
        panel="Search",
    )
    edge_normalization: bool = setting(
        False,
        "edges have weights of their own, a softmax over those that enter a node, instead of the method's own choice",
        panel="Search",
    )
    select: str = setting(
        "local-search",
        "from the trained supernet to a cell, instead of the method's own: argmax, perturbation, local-search, best-of "
        "or evolution",
        panel="Search",
    )
    phases: str = setting(
        "one",
        "instead of the method's own: one; prune: every phase drops weak operations; restart: the same, and weights "
        "and alpha start anew in each phase",
        panel="Phases",
    )

    @property
    def axes(self) -> dict[str, str]:
        """Each axis of `zarts.methods.AXES` with its member."""
        return {
            "arch_optimizer": self.arch_optimizer,
            "relaxation": self.relaxation,
            "weight_relaxation": self.weight_relaxation,
            "supernet": self.supernet,
            "edge_normalization": str(self.edge_normalization),
            "select": self.select,
            "phases": self.phases,
        }
