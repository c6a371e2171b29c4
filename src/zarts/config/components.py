"""The axes of a method: values from layers, checks of their combination, and the settings that each member uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zarts.config.method import MethodSettings
from zarts.config.preset_files import Layer
from zarts.config.settings import SearchSettings
from zarts.errors import SettingsError, did_you_mean
from zarts.methods import AXES, DEFAULTS, GRADIENT, Method, get_method, member

__all__ = ["Axes", "members", "resolve_axes", "used", "used_by"]


@dataclass(frozen=True)
class Axes:
    """A method, and the axes that replace its own.

    Args:
        method: the row of the table of methods.
        named: index of the layer that names the method; -1 if none does.
        values: axis to its member.
        changed: axis to the index of the layer that sets it, for those that a layer sets.
    """

    method: Method
    named: int
    values: dict[str, str]
    changed: dict[str, int]

    @property
    def members(self) -> frozenset[str]:
        """All members of the axes."""
        return frozenset(map(member, self.values.values()))

    @property
    def title(self) -> str:
        """The method and its changed axes in words, for messages."""
        changes = "".join(f" with {axis} = {self.values[axis]}" for axis in self.changed)
        return f"method {self.method.name!r}{changes}"

    def defaults(self, index: int) -> list[Layer]:
        """The defaults that go right below layer `index`; below all of them for -1."""
        own = [member(v) for axis, v in self.values.items() if self.changed.get(axis, self.named) == index]
        layers = [Layer(name, DEFAULTS[name], "method") for name in own if name in DEFAULTS]
        if index == self.named:
            idle = {key for key in self.method.defaults if not used(key, self.members)}
            for axis in self.changed:  # Adam's learning rate, say, means nothing to another optimizer
                before, now = (DEFAULTS.get(member(v), {}) for v in (self.method.axes[axis], self.values[axis]))
                idle |= before.keys() - now.keys()
            values = {key: value for key, value in self.method.defaults.items() if key not in idle}
            layers.append(Layer(f"method {self.method.name!r}", values, "method"))
        return layers


def resolve_axes(layers: Sequence[Layer]) -> Axes:
    """The method and the axes that the layers name; later layers win.

    Raises:
        SettingsError: unknown names, or axes that do not go together.
    """
    named = max((i for i, layer in enumerate(layers) if "method" in layer.values), default=-1)
    chosen = layers[named].values["method"] if named >= 0 else SearchSettings.model_fields["method"].default
    method = get_method(str(chosen))
    values = method.axes
    changed, unknown = {}, []
    for i, layer in enumerate(layers):
        for axis in AXES:
            if i >= named and axis in layer.values:
                value = _written(layer.values[axis])
                if member(value) not in AXES[axis]:
                    unknown.append(f"{axis} ({layer.where}): {did_you_mean('member', value, AXES[axis])}")
                elif value != values[axis]:
                    values[axis], changed[axis] = value, i
    if unknown:
        raise SettingsError("; ".join(unknown))
    _check(method, values)
    return Axes(method, named, values, changed)


def _written(value: Any) -> str:
    """A member as `AXES` has it: `true` of a YAML file or the command line is `True`."""
    return str(value).capitalize() if str(value).lower() in ("true", "false") else str(value)


def _check(method: Method, axes: dict[str, str]) -> None:
    """Refuse axes that do not go together.

    Raises:
        SettingsError: with the reason.
    """
    arch_optimizer, relaxation, select = axes["arch_optimizer"], axes["relaxation"], axes["select"]
    name = f"method {method.name!r}"
    if method.supernet == "none":
        for axis, value in axes.items():
            if value != method.axes[axis]:
                raise SettingsError(f"{axis} = {value}: {name} trains no supernet: choose another method")
        return
    if relaxation == "none" and arch_optimizer != "none":
        raise SettingsError(
            f"arch_optimizer = {arch_optimizer}: {name} has no alpha to update (relaxation = none): take "
            "a relaxation too, or method setn"
        )
    if relaxation == "none" and axes["weight_relaxation"] == "same":
        raise SettingsError(
            f"relaxation = none: {name} then has no operation weights to train with: take --weight-relaxation uniform"
        )
    if (arch_optimizer == "reinforce") != (relaxation == "cell"):
        raise SettingsError(
            f"arch_optimizer = {arch_optimizer} with relaxation = {relaxation}: only reinforce "
            "draws whole cells (relaxation = cell): take both, or neither"
        )
    if relaxation == "cell" and axes["weight_relaxation"] not in ("same", "uniform"):
        raise SettingsError(
            f"weight_relaxation = {axes['weight_relaxation']}: {name} draws cells, has no alpha: take same or uniform"
        )
    if axes["supernet"] == "none":
        raise SettingsError("supernet = none: that is method 'random', which trains no supernet")
    if axes["edge_normalization"] == "True":
        _check_edges(name, axes)
    if axes["supernet"] == "merged":
        _check_merged(name, axes)
    if select == "random":
        raise SettingsError("select = random: that is method 'random', which trains no supernet")
    if select in ("perturbation", "local-search") and relaxation != "softmax":
        raise SettingsError(
            f"select = {select}: it removes operations from a softmax of all, and {name} has relaxation = "
            f"{relaxation}: take another selection"
        )
    _check_phases(name, axes)
    if arch_optimizer == "none" and select == "argmax":
        raise SettingsError(
            "select = argmax with arch_optimizer = none: alpha stays uniform and prefers no operation: take another "
            "selection"
        )


def _check_edges(name: str, axes: dict[str, str]) -> None:
    """Refuse weights of edges where there is no alpha, or where there are no edges to weigh.

    Raises:
        SettingsError: with the reason.
    """
    reasons = {
        ("relaxation", "none"): "has no alpha",
        ("relaxation", "cell"): "draws cells and has no alpha",
        ("weight_relaxation", "uniform"): "trains weights in single cells, without weights of edges",
        ("select", "best-of"): "evaluates single cells, without weights of edges",
        ("select", "evolution"): "evaluates single cells, without weights of edges",
    }
    for (axis, value), reason in reasons.items():
        if axes[axis] == value:
            raise SettingsError(
                f"edge_normalization = True with {axis} = {value}: {name} then {reason}: take --no-edge-normalization"
            )


def _check_merged(name: str, axes: dict[str, str]) -> None:
    """Refuse what the batch norm behind merged convolutions makes meaningless.

    Raises:
        SettingsError: with the reason.
    """
    if axes["edge_normalization"] == "True":
        raise SettingsError(
            "edge_normalization = True with supernet = merged: the batch norm behind merged convolutions cancels "
            "the weight of their edge: take --no-edge-normalization"
        )
    if axes["relaxation"] in ("gumbel", "path") and axes["arch_optimizer"] in ("mgs", *GRADIENT):
        raise SettingsError(
            f"supernet = merged with relaxation = {axes['relaxation']} and arch_optimizer = {axes['arch_optimizer']}: "
            "where the drawn operation is no convolution the merged kernel is 0, and the gradient behind its batch "
            f"norm, which {name} then follows, has no bounds: take softmax or gumbel-soft, or arch_optimizer rs or gld"
        )


def _check_phases(name: str, axes: dict[str, str]) -> None:
    """Refuse what does not go together with phases.

    Raises:
        SettingsError: with the reason.
    """
    phases, select = axes["phases"], axes["select"]
    if phases == "one":
        return
    if axes["arch_optimizer"] == "none":
        raise SettingsError(f"phases = {phases}: {name} has no alpha to rank operations by: take --phases one")
    if axes["arch_optimizer"] == "reinforce":
        raise SettingsError(
            f"phases = {phases}: the controller of {name} draws from the whole space: take --phases one"
        )
    if axes["supernet"] == "merged":
        raise SettingsError(
            f"supernet = merged with phases = {phases}: the convolutions of an edge are merged, and none can be "
            "dropped by itself: take --supernet mixed, or --phases one"
        )
    if select in ("evolution", "perturbation", "local-search"):
        raise SettingsError(
            f"select = {select} with phases = {phases}: it evaluates operations that earlier phases have dropped, "
            "whose weights are no longer trained: take argmax or best-of"
        )


def members(settings: MethodSettings) -> frozenset[str]:
    """All members of the axes of resolved settings."""
    return frozenset(map(member, settings.axes.values()))


def used_by(key: str) -> list[str]:
    """The members of the axes that use a setting; an empty list: all of them."""
    extra = SearchSettings.model_fields[key].json_schema_extra
    assert isinstance(extra, dict)
    users = extra["used_by"]
    assert isinstance(users, list)
    return [str(user) for user in users]


def used(key: str, names: frozenset[str]) -> bool:
    """Whether one of the members `names` uses the setting."""
    return not used_by(key) or not names.isdisjoint(used_by(key))
