"""The base of all settings, the function that declares a setting, and the groups of members that use one."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from zarts.methods import GRADIENT, ZERO_ORDER

__all__ = ["ADAM", "PHASED", "SAMPLING", "SUPERNET", "UPDATING", "Settings", "setting"]

SUPERNET = ("mixed", "partial", "merged")
SAMPLING = (*ZERO_ORDER, "reinforce")
UPDATING = (*SAMPLING, *GRADIENT)
ADAM = (*GRADIENT, "reinforce")
PHASED = ("prune", "restart")


class Settings(BaseModel):
    """Settings of a component: frozen, without unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def setting(
    default: Any,
    help: str,
    *,
    panel: str,
    used_by: tuple[str, ...] = (),
    otherwise: Any = None,
    resumable: bool = False,
    **bounds: Any,
) -> Any:
    """A field with its help text, the group that the help page shows it in, and the axes' members that use it.

    Args:
        default: the value if nothing else sets it.
        help: one line; says where the default comes from if that is not the paper.
        panel: heading on the help page.
        used_by: members of a method's axes (see `zarts.methods`); empty: all use it.
        otherwise: the value that says what happens where the setting is not used; it may be given there, and so may the
            default.
        resumable: whether a run may be resumed with another value: no result depends on it.
        bounds: pydantic's `ge`, `gt`, `le`, `lt`, `multiple_of`.
    """
    extra: dict[str, Any] = {"panel": panel, "used_by": list(used_by), "otherwise": otherwise, "resumable": resumable}
    return Field(default, description=help, json_schema_extra=extra, **bounds)
