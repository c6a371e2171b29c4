"""Imports go downwards only, importing changes nothing, and public names are there and explained."""

import ast
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import zarts

SOURCE = Path(zarts.__file__).parent
LAYERS = [
    {"wording"},
    {"errors"},
    {"readers"},
    {"methods"},
    {"config"},
    {"kernels"},
    {"runtime"},
    {"spaces", "zo", "data"},
    {"relax", "networks"},
    {"supernet"},
    {"bilevel"},
    {"limits"},
    {"arch_optim", "select"},
    {"runs"},
    {"training"},
    {"searcher"},
    {"bench", "analysis"},
    {"reports", "exports"},
    {"callbacks", "planner"},
    {"api"},
    {"comparison"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
FILES = [p for p in sorted(SOURCE.rglob("*.py")) if p != SOURCE / "__init__.py"]
MODULES = ["zarts", *(m.name for m in pkgutil.walk_packages(zarts.__path__, "zarts."))]


def part(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(tree):
    """Parts of zarts that a file imports, wherever in it, with the line."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names = [f"{node.module}.{a.name}" if node.module == "zarts" else node.module for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        for name in names:
            if name.startswith("zarts."):
                yield name.split(".")[1], node.lineno


def test_every_part_has_its_layer():
    assert {part(path) for path in FILES} <= set(RANK)


def test_imports_go_downwards():
    found = [(path, part(path), *one) for path in FILES for one in imported(ast.parse(path.read_text()))]
    upwards = [f"{path}:{line}: {own} imports {other}" for path, own, other, line in found if RANK[other] > RANK[own]]
    beside = [one for one in found if one[1] != one[2] and RANK[one[1]] == RANK[one[2]]]
    assert (upwards, beside) == ([], [])
    assert len(found) > 500


def test_networks_and_optimisers_know_no_settings():
    core = {"kernels", "spaces", "zo", "data", "relax", "networks", "supernet", "bilevel"}
    for path in (path for path in FILES if part(path) in core):
        assert not {other for other, _ in imported(ast.parse(path.read_text()))} & {"config", "methods"}, path


def test_settings_are_read_by_name():
    """A search for the name of a setting finds where it is used."""
    assert not [path for path in FILES if re.search(r"getattr\(\w*settings\b", path.read_text())]


def test_each_setting_has_one_default():
    """Searching and retraining differ on purpose; within one of them each field is declared once with a value."""
    from zarts.config import RetrainSettings, SearchSettings

    for kind in (SearchSettings, RetrainSettings):
        for key in kind.model_fields:
            own = [base for base in kind.__mro__ if key in inspect.get_annotations(base)]
            defaults = [b for b in own if not b.model_fields[key].is_required()]
            assert len(defaults) == 1, f"{key}: {defaults}"


def lines(path):
    return len(path.read_text().splitlines())


def test_no_file_is_a_hall():
    sources = [p for p in SOURCE.rglob("*") if p.suffix in (".py", ".cpp", ".hpp")]
    exported = SOURCE / "data" / "preprocess.py"  # leaves with each model as one file that needs no other
    assert not [(str(p), lines(p)) for p in sources if lines(p) > (500 if p == exported else 320)]


def test_no_file_is_a_fragment():
    """A file below 40 lines that one other file alone imports belongs there; members of a registry stand alone."""
    names = {p: ".".join(p.relative_to(SOURCE.parent).with_suffix("").parts) for p in FILES}
    texts = {p: p.read_text() for p in FILES}
    alone = {"zarts.__main__", "zarts.api._query"}  # a command, a public function
    for path, name in names.items():
        registry = (path.parent / "__init__.py").read_text()
        member = name in registry and re.search(r"^[A-Z_]+(: .*)? = \{", registry, re.M)
        users = [p for p, text in texts.items() if name in text]
        small = lines(path) < 40 and path.name != "__init__.py" and part(path) != "cli"
        assert not small or member or name in alone or len(users) != 1, f"{path} is only imported by {users}"


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "module",
    [
        "zarts",
        "zarts.api",
        "zarts.api._lists",
        "zarts.config",
        "zarts.methods",
        "zarts.errors",
        "zarts.runtime.io",
        "zarts.cli.commands",
        "zarts.callbacks",
    ],
)
def test_light_modules_import_no_torch(module):
    heavy = json.loads(
        python(
            f"import sys, json, {module}; print(json.dumps([m for m in HEAVY if m in sys.modules]))".replace(
                "HEAVY", "('torch', 'torchvision', 'numpy', 'sklearn', 'matplotlib')"
            )
        )
    )
    assert heavy == []


def test_importing_changes_nothing_and_dir_and_star_have_the_public_names_alone():
    """Also when rooms have been imported, which sets them as attributes."""
    code = """
import json, sys, os, logging, random, signal, torch
import torchvision, sklearn.datasets, rich.progress, matplotlib  # what these change on import is not ours
def state():
    return (list(sys.argv), dict(os.environ), list(logging.root.handlers), logging.root.level, torch.get_num_threads(),
            torch.get_rng_state().tolist(), random.getstate(), torch.get_default_dtype(), torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark, signal.getsignal(2),
            signal.getsignal(15), torch.backends.mkldnn.enabled, os.getcwd(), sys.excepthook)
before = state()
import zarts, zarts.api, zarts.cli.commands
same, listed = before == state(), dir(zarts)
own = set(globals()) | {"own"}
from zarts import *
print(json.dumps([same, listed, sorted(set(globals()) - own), zarts.__version__]))
"""
    same, listed, starred, version = json.loads(python(code))
    assert same
    assert listed == sorted([*zarts.__all__, "__version__"])
    assert starred == sorted(zarts.__all__)
    assert version == metadata.version("zarts")


def test_public_names_are_there_and_explained():
    for name in MODULES:
        module = importlib.import_module(name)
        assert module.__doc__, f"{name} has no docstring"
        for public in getattr(module, "__all__", ()):
            value = getattr(module, public)
            if inspect.isclass(value) or inspect.isfunction(value):
                assert value.__doc__, f"{name}.{public} has no docstring"
        if name not in ("zarts.cli.commands",):
            assert hasattr(module, "__all__"), f"{name} has no __all__"


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="'serch'"):
        zarts.serch  # noqa: B018


def test_no_module_hides_a_public_name():
    """`import zarts.training` sets `zarts.training`; a module called `retrain` would hide the function."""
    parts = {part(path) for path in FILES}
    modules = {name for name in zarts.__all__ if inspect.ismodule(getattr(zarts, name))}
    assert modules == {"callbacks", "errors", "zo"}
    assert not parts & (set(zarts.__all__) - modules)
    assert all(callable(getattr(zarts, name)) for name in set(zarts.__all__) - modules)


def test_public_names_stay_the_same_objects_whatever_is_imported():
    """A module would hide a function of its name once it is imported: in `zarts` and in every room."""
    code = """
import importlib, json, pkgutil, sys, zarts
def public():
    rooms = [zarts, *(sys.modules[name] for name in sorted(rooms_of))]
    return [(room.__name__, name, id(getattr(room, name))) for room in rooms for name in room.__all__]
rooms_of = {m.name for m in pkgutil.iter_modules(zarts.__path__, "zarts.") if m.ispkg}
for name in rooms_of: importlib.import_module(name)
before = public()
walked = [importlib.import_module(m.name) for m in pkgutil.walk_packages(zarts.__path__, "zarts.")
          if m.name != "zarts.__main__"]
print(json.dumps([[a[:2] for a, b in zip(before, public()) if a != b], len(before), len(walked)]))
"""
    changed, names, modules = json.loads(python(code))
    assert changed == []
    assert names > 200
    assert modules > 200
