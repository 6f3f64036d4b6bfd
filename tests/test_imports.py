"""Imports go one way: between packages along a table of arrows, between modules without a cycle, and commands on top.

An import counts wherever it stands: at the top of a module, inside a function, or as the name that `importlib` or
`runpy` is given. Under TYPE_CHECKING it counts between packages, since a reader follows it like any other; between two
modules of one package it is no cycle, since an annotation runs nothing and both are read together.
What importing a module does to the `__init__` of its package is not counted: those offer what stands below them.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = ("lstm_variants", "experiments", "analysis", "gates")
FILES = sorted(path for package in PROJECT for path in (ROOT / package).rglob("*.py"))

READING = [
    "analysis.common",
    "analysis.arms",
    "analysis.records",
    "analysis.statistics",
    "analysis.claims",
    "analysis.replications",
]
SHOWING = [
    *READING,
    "analysis.figures",
    "analysis.explorer",
    "analysis.pages",
    "analysis.wandb_views",
    "analysis.publishing",
]
FAMILY = ["lstm_variants", *(f"lstm_variants.{name}" for name in ("catalogue", "cells", "engines", "extensions"))]
MAKING = ["tasks", "config", "training", "store", "inspection", "tracking", "sweep", "studies"]
MAKING = [f"experiments.{name}" for name in MAKING]


def below(package: str, order: list[str]) -> set[str]:
    """All that stand before it."""
    return set(order[: order.index(package)])


MAY_IMPORT: dict[str, set[str]] = {
    "lstm_variants": set(FAMILY[1:]),
    "lstm_variants.catalogue": {"lstm_variants", "lstm_variants.cells", "lstm_variants.extensions"},
    "lstm_variants.extensions": {"lstm_variants"},
    "lstm_variants.cells": {"lstm_variants", "lstm_variants.engines", "lstm_variants.extensions"},
    "lstm_variants.engines": {"lstm_variants"},
    **{package: below(package, SHOWING) for package in SHOWING},
    "analysis": set(SHOWING),
    "experiments.tasks": {*FAMILY},
    "experiments.config": {*FAMILY, "experiments.tasks"},
    "experiments.training": {*FAMILY, *below("experiments.training", MAKING)},
    "experiments.store": {*FAMILY, *READING[:3], *below("experiments.store", MAKING)},
    "experiments.inspection": {*FAMILY, *READING[:3], *below("experiments.inspection", MAKING)},
    "experiments.tracking": {*FAMILY, *below("analysis.explorer", SHOWING), *below("experiments.tracking", MAKING)},
    "experiments.sweep": {*FAMILY, *READING[:3], *below("experiments.sweep", MAKING)},
    "experiments.studies": {*FAMILY, *READING, *below("experiments.studies", MAKING)},
    "experiments.benchmark": {*FAMILY, "analysis.common", *MAKING},
    "experiments": {*FAMILY, *SHOWING, *MAKING, "experiments.benchmark"},
    "gates": {*FAMILY, "analysis.common", "experiments"},
}
ALLOWED_ALONE = {("experiments.sweep", "experiments")}  # the package has the name of a function, and is one

BESIDE = 12  # modules of a package
MORE_BESIDE = {  # where one file is one thing, and a reader looks for it by name
    "experiments": "a file a command",
    "experiments.tasks": "a file a task",
    "experiments.inspection": "a file a measure",
    "analysis.figures": "a file a figure",
}
CONSOLE = "gates.__main__"  # the console script `gates`: it runs the commands by their names
SCRIPTS = {"experiments.benchmark.users_script"}  # run as a process, and imported to say where it is

LIBRARY_ONLY_IN = {
    "hydra": {
        "experiments/sweep/hydra_application.py",
        "experiments/config/compose.py",
        "experiments/config/error_messages.py",
        "experiments/config/hydra_setup.py",
        "experiments/sweep/launcher.py",
        "experiments/config/words.py",
    },
    "wandb": {
        "experiments/tracking/wandb_variables.py",
        "experiments/tracking/wandb_runs.py",
        "experiments/benchmark/overhead.py",
        "analysis/records/wandb_source.py",
        "analysis/workspace.py",
    },
    "wandb_workspaces": {"analysis/wandb_views/panels.py"},
    "matplotlib": {"analysis/figures/", "experiments/tasks/_example.py"},
    "seaborn": {"analysis/figures/"},
}
ALONE = {*sys.stdlib_module_names, "torch", "numpy", "yaml", "filelock"}  # what lstm_variants works with


@dataclass
class Module:
    """A module of the project, and what it imports."""

    name: str
    path: Path
    imports: set[str] = field(default_factory=set)  # modules of the project
    for_types: set[str] = field(default_factory=set)  # those of them for annotations only
    private: set[str] = field(default_factory=set)  # private modules and names, in full
    libraries: set[str] = field(default_factory=set)

    @property
    def package(self) -> str:
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    @property
    def is_command(self) -> bool:
        return self.path.name == "__main__.py" or 'if __name__ == "__main__":' in self.path.read_text()


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, Module]:
    """Every module by its name, with its imports."""
    known = {dotted(path): Module(dotted(path), path) for path in FILES}
    for module in known.values():
        read(module, known)
    return known


def read(module: Module, known: dict[str, Module]) -> None:
    tree = ast.parse(module.path.read_text())
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    types_only = {id(part) for block in blocks for part in ast.walk(block)}
    names: dict[str, str] = {}  # name in the module -> module of the project
    real = set(by_name(tree, known))
    for node in ast.walk(tree):
        for place, name, bound in imported(module, node):
            target = f"{place}.{name}" if f"{place}.{name}" in known else place
            if target not in known:
                module.libraries.add(place.split(".")[0])
                continue
            names[bound] = target
            module.imports.add(target)
            real |= set() if id(node) in types_only else {target}
            module.private |= {target} if is_private(target) else set()
            module.private |= {f"{place}.{name}"} if name.startswith("_") and target == place else set()
    module.imports = (module.imports | real) - {module.name}
    module.for_types = module.imports - real
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
            hidden = node.attr.startswith("_") and not node.attr.startswith("__")
            module.private |= {f"{names[node.value.id]}.{node.attr}"} if hidden else set()


def imported(module: Module, node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """(module, name in it or "", what it is called here) of an import."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, "", alias.asname or alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{module.name}: relative import"
        yield from ((str(node.module), alias.name, alias.asname or alias.name) for alias in node.names)


def by_name(tree: ast.AST, known: dict[str, Module]) -> Iterator[str]:
    """What a module may import by name: the texts in it that name one, if it imports anything so at all.

    `import_module(f"experiments.tasks.{name}")` may be any of the public modules there.
    """
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    ways = ("import_module", "run_module", "run_path", "__import__")
    if not any(ast.unparse(call.func).endswith(ways) for call in calls):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in known and "." in str(node.value):
            yield str(node.value)
        elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            start = str(node.values[0].value)
            found = [name for name in known if name.rpartition(".")[0] == start.rstrip(".") and not is_private(name)]
            yield from found if start.endswith(".") else []


def is_private(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last.startswith("_") and not last.startswith("__")


def arrows() -> Iterator[tuple[Module, Module]]:
    known = modules()
    yield from ((module, known[target]) for module in known.values() for target in sorted(module.imports))


def test_packages_import_what_the_table_allows():
    wrong = {
        (module.name, target.name)
        for module, target in arrows()
        if module.package != target.package and target.package not in MAY_IMPORT[module.package]
    }
    commands = {(CONSOLE, target.name) for module, target in arrows() if module.name == CONSOLE}
    assert wrong - commands == ALLOWED_ALONE, "a package imports another that MAY_IMPORT does not allow"


def test_no_module_imports_itself_by_way_of_others():
    found = {name for name, reached in reachable().items() if name in reached}
    ways = {name: sorted(there for there in reachable()[name] if name in reachable()[there]) for name in sorted(found)}
    assert not found, f"cycles (a figure or task imports from private modules, not its package): {ways}"


@cache
def reachable() -> dict[str, set[str]]:
    """Module -> all that it imports, directly or by way of others, for more than types."""
    direct = {module.name: module.imports - module.for_types for module in modules().values()}
    reached = {name: set(targets) for name, targets in direct.items()}
    while True:
        more = {name: there.union(*(reached[one] for one in there)) for name, there in reached.items()}
        if more == reached:
            return reached
        reached = more


def test_nobody_imports_a_command():
    commands = {module.name for module in modules().values() if module.is_command} - SCRIPTS
    wrong = {(module.name, target.name) for module, target in arrows() if target.name in commands}
    wrong = {(module, command) for module, command in wrong if module != CONSOLE}
    assert not wrong


def test_private_names_are_used_in_their_own_package_only():
    wrong = {
        (module.name, name)
        for module in modules().values()
        for name in module.private
        if not f"{module.package}.".startswith(f"{owner(name)}.")
    }
    assert not wrong


def owner(private: str) -> str:
    """The package that a private module or name belongs to."""
    module = modules().get(private) or modules()[private.rpartition(".")[0]]
    return module.package


def test_no_package_has_more_modules_than_a_reader_can_look_over():
    counts = dict.fromkeys(MAY_IMPORT, 0)
    for module in modules().values():
        counts[module.package] += module.path.name not in ("__init__.py", "__main__.py")
    assert {package for package, count in counts.items() if count > BESIDE} <= set(MORE_BESIDE), counts


def test_each_package_says_what_lives_there_and_what_it_may_import():
    packages = {module.name: module for module in modules().values() if module.path.name == "__init__.py"}
    assert set(packages) == set(MAY_IMPORT)
    for name, package in packages.items():
        text = " ".join((ast.get_docstring(ast.parse(package.path.read_text())) or "").split())
        assert f"May import: {in_words(MAY_IMPORT[name])}." in text, name


def in_words(packages: set[str]) -> str:
    """Packages as a docstring names them, those that stand in a row as `the first to the last`."""
    words = ["lstm_variants"] if set(FAMILY) <= packages else []
    left = packages - set(FAMILY) if words else set(packages)
    for row in (SHOWING, MAKING):
        run = [package for place, package in enumerate(row) if set(row[: place + 1]) <= packages]
        left -= set(run)
        words += [run[0] + (f" to {run[-1].rpartition('.')[2]}" if len(run) > 1 else "")] if run else []
    return ", ".join([*words, *sorted(left)]) or "nothing of ours"


@pytest.mark.parametrize(
    ("source", "imports", "private"),
    [
        ("def f():\n    from analysis import report", {"analysis.report"}, set()),
        ("import runpy\nNAMES = {'a': 'analysis.report'}\nrunpy.run_module(NAMES['a'])", {"analysis.report"}, set()),
        (
            "import importlib\nimportlib.import_module(f'analysis.wandb_views.{1}')",
            {"panels", "report", "run_table"},
            set(),
        ),
        ("def f():\n    import analysis.figures._theme as t", {"analysis.figures._theme"}, {"analysis.figures._theme"}),
        ("from analysis.records import read\nread._x()", {"analysis.records.read"}, {"analysis.records.read._x"}),
        ("from analysis.records.read import _x", {"analysis.records.read"}, {"analysis.records.read._x"}),
        ("TEXT = 'analysis.report'", set(), set()),
    ],
)
def test_imports_are_found_wherever_they_stand(source, imports, private, tmp_path):
    (tmp_path / "some.py").write_text(source)
    module = Module("experiments.some", tmp_path / "some.py")
    read(module, modules())
    assert {name.removeprefix("analysis.wandb_views.") for name in module.imports} == imports
    assert module.private == private
    assert not module.for_types


@pytest.mark.parametrize("module", modules().values(), ids=lambda module: module.name)
def test_libraries_are_imported_where_the_design_says(module: Module) -> None:
    path = module.path.relative_to(ROOT).as_posix()
    for library, places in LIBRARY_ONLY_IN.items():
        assert library not in module.libraries or path.startswith(tuple(places)), f"{path} imports {library}"
    assert not path.startswith("analysis/") or "torch" not in module.libraries
    assert not path.startswith("lstm_variants/") or module.libraries <= ALONE, f"{path} imports {module.libraries}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_that_is_read_can_run_code(path: Path) -> None:
    calls = [ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    for call in calls:
        assert not call.startswith("yaml.load(") or "Loader=yaml.CSafeLoader" in call, call
        assert not call.startswith("torch.load(") or "weights_only=True" in call, call
        assert not call.startswith("np.load(") or "allow_pickle=False" in call, call
        if path.name not in ("workers.py", "slurm_task.py"):  # what a sweep sends its own processes
            assert not call.startswith(("pickle.load", "cloudpickle.load")), call
        if path.is_relative_to(ROOT / "analysis"):
            assert not call.startswith(("instantiate(", "eval(", "exec(")), call
