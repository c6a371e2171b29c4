"""Moves of files and functions, room by room: `python tools/moves.py ROOM`.

`tools/rooms.py` has the table. A room's files are moved (several onto one name are merged in the order of the table),
and every import, dotted name in a string and dotted name in the docs follows. Deleted with the last room.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from rooms import ROOMS

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src"


def run(*words: str) -> None:
    subprocess.run(words, cwd=ROOT, check=True)


def name_of(path: Path) -> str:
    parts = list(path.relative_to(SRC).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


class Tree:
    """The modules as they are now: what each defines, and what each imports from another."""

    def __init__(self) -> None:
        self.paths = {name_of(p): p for p in sorted((SRC / "zarts").rglob("*.py"))}
        self.defined: dict[str, set[str]] = {}
        self.imported: dict[str, dict[str, tuple[str, str]]] = {}
        for name, path in self.paths.items():
            defined, imported = set(), {}
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("zarts"):
                    imported.update({a.asname or a.name: (str(node.module), a.name) for a in node.names})
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    defined.add(node.name)
                elif isinstance(node, ast.Assign | ast.AnnAssign):
                    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                    defined.update(n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name))
            self.defined[name], self.imported[name] = defined, imported

    def is_package(self, module: str) -> bool:
        return module in self.paths and self.paths[module].name == "__init__.py"

    def resolve(self, module: str, name: str) -> tuple[str, str | None]:
        """Where a name is defined; (module, None) if it is a module."""
        if name in self.defined.get(module, ()):
            return module, name
        if self.imported.get(module, {}).get(name, (module, name)) != (module, name):
            return self.resolve(*self.imported[module][name])
        if f"{module}.{name}" in self.paths:
            return f"{module}.{name}", None
        return module, name


def package(module: str, packages: set[str]) -> str:
    while module not in packages:
        module = module.rpartition(".")[0]
    return module


def cut(text: str, names: list[str]) -> tuple[str, str]:
    """The text without these top-level definitions, and their text."""
    lines, taken, rest, body = text.splitlines(keepends=True), [], [], ast.parse(text).body
    spans = []
    for i, node in enumerate(body):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        own = getattr(node, "name", None) or next((t.id for t in targets if isinstance(t, ast.Name)), None)
        if own in names:
            start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            while lines[start - 2].startswith("#"):
                start -= 1
            end = node.end_lineno
            after = body[i + 1] if i + 1 < len(body) else None
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(after, ast.Expr):
                end = after.end_lineno
            spans.append((start - 1, end))
            names = [n for n in names if n != own]
    assert not names, f"not found: {names}"
    last = 0
    for start, end in spans:
        rest += lines[last:start]
        taken += ["\n\n", *lines[start:end]]
        last = end
    return "".join(rest + lines[last:]), "".join(taken)


def header(text: str) -> tuple[str, list[str], list[str], str]:
    """Docstring, import statements, names of `__all__`, and the rest."""
    lines, tree = text.splitlines(keepends=True), ast.parse(text)
    doc, imports, public, drop = "", [], [], set()
    for i, node in enumerate(tree.body):
        source = "".join(lines[node.lineno - 1 : node.end_lineno])
        if i == 0 and isinstance(node, ast.Expr):
            doc = source
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(source)
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            public = [ast.literal_eval(e) for e in node.value.elts]  # type: ignore[attr-defined]
        elif isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "__all__":
            public = []
        else:
            continue
        drop |= set(range(node.lineno - 1, node.end_lineno))
    rest = "".join(line for i, line in enumerate(lines) if i not in drop)
    return doc, imports, public, rest.strip("\n") + "\n"


def assemble(doc: str, imports: list[str], public: list[str], rest: str) -> str:
    names = ", ".join(f'"{n}"' for n in sorted(set(public), key=lambda n: (not n.isupper(), n[0].islower(), n)))
    head = "".join(dict.fromkeys(imports))
    return f"{doc}\n{head}\n__all__ = [{names}]\n\n\n{rest}"


def split(old: str, names: list[str], new: str, doc: str) -> None:
    """Move definitions into another module, which may be there already; the old one imports what it needs of them."""
    tree = Tree()
    source = tree.paths[old]
    target = SRC / (new.replace(".", "/") + ".py")
    text, moved = cut(source.read_text(), names)
    d, imports, public, rest = header(text)
    if target.exists():
        d2, imports2, public2, rest2 = header(target.read_text())
    else:
        d2, imports2, public2, rest2 = f'"""{doc}"""\n', [], [], ""
    gone = [n for n in names if n in public]
    imports2 = [i for i in imports2 if not re.match(rf"from {re.escape(old)} import", i)] + imports
    own = [*names] if re.search(r"\b(" + "|".join(map(re.escape, names)) + r")\b", rest) else []
    target.parent.mkdir(exist_ok=True)
    needed = sorted({n for n in names if re.search(rf"\b{re.escape(n)}\b", rest)})
    back = {n for n in Tree().defined[old] - set(names) if re.search(rf"\b{re.escape(n)}\b", moved)}
    if back:
        print(f"  note: {new} needs {sorted(back)} of {old}")
        imports2.append(f"from {old} import {', '.join(sorted(back))}\n")
    target.write_text(
        assemble(d2, imports2, [*public2, *gone, *[n for n in needed if not n.startswith("_")]], rest2 + "\n\n" + moved)
    )
    if own:
        imports = [*imports, f"from {new} import {', '.join(needed)}\n"]
    source.write_text(assemble(d, imports, [n for n in public if n not in gone], rest))
    # importers follow at once
    rewrite(tree, {}, {(old, n): new for n in names}, {}, skip={source, target})
    run("git", "add", "-A")


def statement(module: str, names: list[tuple[str, str | None]], indent: str) -> str:
    words = ", ".join(n if not a or a == n else f"{n} as {a}" for n, a in names)
    return f"{indent}from {module} import {words}\n"


def rewrite(
    tree: Tree,
    moves: dict[str, str],
    symbols: dict[tuple[str, str], str],
    inits: dict[str, list[str]],
    skip: set[Path] = frozenset(),  # type: ignore[assignment]
) -> None:
    packages = {m for m in tree.paths if tree.is_package(m)}
    new_packages = packages | set(inits) | {moves[m] for m in moves if m in packages}
    exported = {m: set(inits[m]) for m in inits}

    modules_after = {moves.get(m, m) for m in tree.paths}

    def new_home(module: str, name: str | None) -> str:
        return symbols.get((module, name or ""), moves.get(module, module))

    for p in packages - set(inits):  # what an old package still re-exports
        q = moves.get(p, p)
        public = header(tree.paths[p].read_text())[2]
        for name in tree.imported[p]:
            home, _ = tree.resolve(p, name)
            if name in public and package(new_home(home, name), new_packages) == q:
                exported.setdefault(q, set()).add(name)
        exported.setdefault(q, set()).update(tree.defined[p])

    def dotted(match: re.Match[str]) -> str:
        parts = match[0].split(".")
        for n in range(len(parts), 1, -1):
            prefix = ".".join(parts[:n])
            if prefix in tree.paths:
                rest = parts[n:]
                if rest and (tree.is_package(prefix) or (prefix, rest[0]) in symbols):
                    home, name = tree.resolve(prefix, rest[0])
                    if name is None:
                        return match[0]
                    if home == prefix or new_home(home, name) == home:
                        if prefix in moves:
                            return ".".join([moves[prefix], *rest])
                        return match[0]
                    to = new_home(home, name)
                    shelf = package(to, new_packages)
                    if rest[0] in exported.get(shelf, ()):
                        to = shelf
                    return ".".join([to, *rest])
                return ".".join([moves.get(prefix, prefix), *rest])
        return match[0]

    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    files += [
        *(ROOT / "examples").rglob("*.py"),
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("*.md"),
        ROOT / "pyproject.toml",
    ]
    files += [*(ROOT / "src").rglob("*.j2"), *(ROOT / "benchmarks").rglob("*.md")]
    for path in files:
        if path in skip:
            continue
        text = before = path.read_text()
        if path.suffix == ".py":
            own = name_of(path) if path.is_relative_to(SRC) else ""
            own_new = moves.get(own, own)
            shelf = package(own_new, new_packages) if own else ""
            is_init = own in packages
            lines = text.splitlines(keepends=True)
            removed: set[str] = set()
            aliases: list[tuple[str, str]] = []
            for node in sorted(
                (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom)), key=lambda n: -n.lineno
            ):
                module = str(node.module)
                if not module.startswith("zarts"):
                    continue
                targets: dict[str, list[tuple[str, str | None]]] = defaultdict(list)
                changed = False
                for alias in node.names:
                    home, name = tree.resolve(module, alias.name)
                    if name is None:  # a module
                        to = moves.get(home, home)
                        parent, _, leaf = to.rpartition(".")
                        changed |= to != home
                        as_name = alias.asname or (alias.name if leaf != alias.name else None)
                        if as_name and not alias.asname and to != home:
                            aliases.append((as_name, leaf))
                            as_name = None
                        targets[parent].append((leaf, as_name))
                        continue
                    to = new_home(home, name)
                    moved = to != home or module in moves
                    if not moved:
                        inside = own and module == shelf and not is_init  # from now on in the same room
                        targets[to if inside else module].append((alias.name, alias.asname))
                        changed |= bool(inside)
                        continue
                    changed = True
                    room = package(to, new_packages)
                    if is_init and room != shelf and alias.name in tree.imported[own]:
                        in_all = re.search(rf'^    "{alias.name}",$|[\[ ]"{alias.name}"[,\]]', text, re.M)
                        uses = any(isinstance(n, ast.Name) and n.id == alias.name for n in ast.walk(ast.parse(text)))
                        if in_all and not uses:
                            removed.add(alias.name)
                            continue
                    if room != shelf and alias.name in exported.get(room, ()):
                        to = room
                    targets[to].append((alias.name, alias.asname))
                if changed:
                    indent = " " * node.col_offset
                    note = re.search(r"  # .*", lines[node.end_lineno - 1])
                    own_names = [n for n in targets.pop(own_new, []) if f"{own_new}.{n[0]}" in modules_after]
                    if own_names:
                        targets[own_new] = own_names
                    made = [statement(m, ns, indent) for m, ns in targets.items()]
                    if note and made:
                        made[-1] = made[-1].rstrip("\n") + note[0].rstrip("\n") + "\n"
                    lines[node.lineno - 1 : node.end_lineno] = made
            text = "".join(lines)
            for old_name, leaf in aliases:
                text = re.sub(rf"(?<![\w.\"])(?<!import ){old_name}(?=[.,)])", leaf, text)
                print(f"  alias: {path.relative_to(ROOT)}: {old_name} is {leaf}")
            for name in removed:
                text = re.sub(rf'^    "{name}",\n', "", text, flags=re.M)
                text = re.sub(rf'(?<=[\[ ])"{name}"(, |(?=\]))', "", text)
        text = re.sub(r"\bzarts(?:\.[A-Za-z_][A-Za-z_0-9]*)+", dotted, text)
        if text != before:
            path.write_text(text)


def merge(olds: list[str], new: str, paths: dict[str, Path], doc: str | None, moves: dict[str, str]) -> None:
    imports, public, rests, docs = [], [], [], []
    seen: dict[str, str] = {}
    for old in olds:
        text = paths[old].read_text()
        for node in ast.parse(text).body:
            name = getattr(node, "name", None)
            if isinstance(node, ast.Assign):
                name = getattr(node.targets[0], "id", None)
            if isinstance(node, ast.AnnAssign):
                name = getattr(node.target, "id", None)
            if name and name != "__all__":
                if name in seen:
                    raise SystemExit(f"{name} is in {seen[name]} and in {old}")
                seen[name] = old
        d, i, p, r = header(text)
        docs.append(d)
        imports += [line for line in i if not re.match(rf"from {re.escape(new)} import", line)]
        public += p
        rests.append(r)
    target = SRC / (new.replace(".", "/") + ".py")
    target.parent.mkdir(parents=True, exist_ok=True)
    merged = assemble(f'"""{doc}"""\n' if doc else docs[0], imports, public, "\n\n".join(rests))
    first = paths[olds[0]]
    if first != target:
        run("git", "mv", str(first), str(target))
    target.write_text(merged)
    for old in olds[1:]:
        run("git", "rm", "-q", "-f", str(paths[old]))


def init_text(doc: str, exports: list[tuple[str, str]]) -> str:
    by: dict[str, list[str]] = defaultdict(list)
    for module, name in exports:
        by[module].append(name)
    lines = "".join(f"from {m} import {', '.join(ns)}\n" for m, ns in by.items())
    names = ", ".join(f'"{n}"' for _, n in exports)
    return f'"""{doc}"""\n\nfrom __future__ import annotations\n\n{lines}\n__all__ = [{names}]\n'


def main() -> None:
    room = ROOMS[sys.argv[1]]
    for file, old, new in room.get("before", ()):
        text = (ROOT / file).read_text()
        assert old in text, (file, old)
        (ROOT / file).write_text(text.replace(old, new))
    for old, names, new, doc in room.get("splits", ()):
        split(old, names, new, doc)
    tree = Tree()
    moves: dict[str, str] = {}
    for new, olds in room["moves"].items():
        for old in [olds] if isinstance(olds, str) else olds:
            assert old in tree.paths, old
            moves[old] = new
    for old in room.get("folders", {}):  # a package that changes its name, with all that is not listed above
        for module in tree.paths:
            if module == old or module.startswith(f"{old}."):
                moves.setdefault(module, room["folders"][old] + module[len(old) :])
    inits = {package: spec[1] for package, spec in room.get("inits", {}).items()}
    rewrite(tree, moves, {}, inits)
    by_new: dict[str, list[str]] = defaultdict(list)
    for new, olds in room["moves"].items():
        by_new[new] = [olds] if isinstance(olds, str) else list(olds)
    for old, new in moves.items():
        if not any(old in olds for olds in by_new.values()):
            by_new[new].append(old)
    for old, new in room.get("folders", {}).items():
        run("mkdir", "-p", str(SRC / new.replace(".", "/")))
    for new, olds in by_new.items():
        if len(olds) == 1 and tree.is_package(olds[0]):
            target = SRC / new.replace(".", "/") / "__init__.py"
            target.parent.mkdir(parents=True, exist_ok=True)
            run("git", "mv", str(tree.paths[olds[0]]), str(target))
        elif len(olds) == 1:
            target = SRC / (new.replace(".", "/") + ".py")
            target.parent.mkdir(parents=True, exist_ok=True)
            if target != tree.paths[olds[0]]:
                run("git", "mv", str(tree.paths[olds[0]]), str(target))
        else:
            merge(olds, new, tree.paths, room.get("docs", {}).get(new), moves)
    for old, new in room.get("folders", {}).items():  # templates and data
        for path in (SRC / old.replace(".", "/")).glob("*"):
            if path.name != "__pycache__":
                run("git", "mv", str(path), str(SRC / new.replace(".", "/")))
    for old, new in room.get("files", {}).items():
        (ROOT / new).parent.mkdir(parents=True, exist_ok=True)
        run("git", "mv", old, new)
    for name in room.get("emptied", ()):
        run("git", "rm", "-q", "-f", str(SRC / name.replace(".", "/") / "__init__.py"))
    run("git", "add", "-A")
    new_tree = Tree()
    for pkg, (doc, names) in room.get("inits", {}).items():
        exports = []
        for name in names:
            homes = [
                m
                for m in new_tree.paths
                if package(m, {x for x in new_tree.paths if new_tree.is_package(x)} | {pkg}) == pkg
                and m != pkg
                and name in new_tree.defined[m]
            ]
            assert len(homes) == 1, (pkg, name, homes)
            exports.append((homes[0], name))
        (SRC / pkg.replace(".", "/") / "__init__.py").write_text(init_text(doc, exports))
    for file, old, new in room.get("edits", ()):
        text = (ROOT / file).read_text()
        assert old in text, (file, old)
        (ROOT / file).write_text(text.replace(old, new))
    binary = str(ROOT / ".venv/bin/ruff")
    subprocess.run([binary, "check", "-q", "--fix", "--select", "I,F401,RUF022", "."], cwd=ROOT)
    run(binary, "format", "-q", ".")
    run("git", "add", "-A")


if __name__ == "__main__":
    main()
