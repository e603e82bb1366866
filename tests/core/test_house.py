"""The order of the house: who may import whom, how large a room may be, what kernels may call."""

import ast
import importlib
import io
import pkgutil
import sys
import tokenize
from collections import Counter
from pathlib import Path

import pytest

import fejer
from fejer import _lazy, jit

HOME = Path(__file__).resolve().parents[2]
LIBRARY = ("fejer", "problems", "solvers", "benchmarks")

# What the files of a layer may import of the package; "fejer" stands for its own modules.
ALLOWED = {
    "fejer.numerics": {"fejer.numerics", "fejer.errors", "fejer.evidence", "fejer.jit"}
    | {"fejer.state"},
    "fejer": {"fejer", "fejer.numerics"},
    "fejer.problems": {"fejer", "fejer.numerics", "fejer.problems"},
    "fejer.solvers": {"fejer", "fejer.numerics", "fejer.problems", "fejer.solvers"},
    "fejer.benchmarks": {"fejer", "fejer.numerics"}
    | {"fejer.problems", "fejer.solvers", "fejer.benchmarks"},
}
# A callable becomes a problem: the one thing at the front door that knows a problem class.
EXCEPTIONS = {("fejer.front", "fejer.problems.smooth_problem")}
# Optional packages are imported inside functions, or the registry would die with them.
UNCONDITIONAL = {"fejer", "numpy", "scipy"} | set(sys.stdlib_module_names)

LONGEST_FILE = 400
FRONT_LINES = 2500  # of code: texts for readers may grow
# Longer files, each one indivisible algorithm.
INDIVISIBLE: dict[str, str] = {}


def sources():
    """Pairs (import name, file) of the whole library."""
    for folder in LIBRARY:
        for file in sorted((HOME / folder).rglob("*.py")):
            parts = file.relative_to(HOME).with_suffix("").parts
            parts = parts if folder == "fejer" else ("fejer", *parts)
            yield ".".join(parts).removesuffix(".__init__"), file


SOURCES = dict(sources())


def layer(module):
    inner = [name for name in ALLOWED if name != "fejer" and f"{module}.".startswith(f"{name}.")]
    return inner[0] if inner else "fejer"


def home(name):
    """Where the public name `fejer.name` lives."""
    known = _lazy._TABLE | _lazy._ALIASES | _lazy.discovered()
    return known.get(name, f"fejer.{name}")


def from_module(node, module, is_package):
    """The absolute name of the module that an import statement names."""
    if not node.level:
        return node.module
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join(parts + ([node.module] if node.module else []))


def imports(module, tree, is_package=False):
    """Yield (bound name, what it is) for everything of the package that a file refers to."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0], alias.name
        elif isinstance(node, ast.ImportFrom):
            source = from_module(node, module, is_package)
            for alias in node.names:
                found = home(alias.name) if source == "fejer" else f"{source}.{alias.name}"
                yield alias.asname or alias.name, found
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "fejer":
                yield "", home(node.attr)


def violations(module, text, is_package=False):
    """The imports of a file that its layer does not allow."""
    bad = []
    for _, target in imports(module, ast.parse(text), is_package):
        inside = target.startswith("fejer.")
        known = ALLOWED[layer(module)]
        named = any(f"{target}.".startswith(f"{name}.") for name in known - {"fejer"})
        allowed = named or layer(target) in known
        excepted = any((module, name) in EXCEPTIONS for name in (target, target.rpartition(".")[0]))
        if inside and not allowed and not excepted:
            bad.append(target)
    return bad


@pytest.mark.parametrize("module", list(SOURCES))
def test_import_order(module):
    file = SOURCES[module]
    assert not violations(module, file.read_text(encoding="utf-8"), file.name == "__init__.py")


def test_import_order_is_noticed():
    broken = "from fejer.solvers.general import fista"
    assert violations("fejer.problems.sparse.lasso", broken)
    assert violations("fejer.problems.sparse.lasso", "from ...solvers import general")
    assert violations("fejer.method", "def f():\n    from .problems import forms")
    assert violations("fejer.numerics.prox", "from ..front import minimize")
    assert violations("fejer.numerics.prox", "import fejer\nfejer.minimize")
    assert violations("fejer.numerics.prox", "from fejer import minimize")
    assert not violations("fejer.solvers.general.fista", "from fejer.problems import forms")
    assert not violations("fejer.numerics.prox", "from .arrays import float_array")


@pytest.mark.parametrize("module", list(SOURCES))
def test_optional_packages_are_imported_inside_functions(module):
    """Statements under ``if TYPE_CHECKING`` do not run."""
    tree = ast.parse(SOURCES[module].read_text(encoding="utf-8"))
    found = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.partition(".")[0])
    assert found <= UNCONDITIONAL


def lines(file):
    return len(file.read_text(encoding="utf-8").splitlines())


def code_lines(text):
    """Number of lines that are neither blank nor comment nor docstring."""
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    counted = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in blank and token.string:
            counted.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            if ast.get_docstring(node) is not None:
                counted -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(counted)


def test_code_lines_are_counted():
    text = '"""Doc.\n\nMore.\n"""\n\n# why\nx = [\n    1,\n]  # what\ndef f():\n    """Doc."""\n'
    assert code_lines(text) == 4


def test_no_file_is_too_long():
    files = [*SOURCES.values(), *sorted((HOME / "tests").rglob("*.py"))]
    long = {str(f.relative_to(HOME)): lines(f) for f in files if lines(f) > LONGEST_FILE}
    assert set(long) == set(INDIVISIBLE), long


def test_the_front_is_small():
    """The folder fejer/ itself, without numerics/ and teach/."""
    files = (HOME / "fejer").glob("*.py")
    counts = Counter({file.name: code_lines(file.read_text(encoding="utf-8")) for file in files})
    assert counts.total() < FRONT_LINES, counts.most_common()


def test_methods_have_no_hierarchy():
    for method in fejer.registry():
        chain = [kind for kind in method.__mro__ if issubclass(kind, fejer.Method)]
        assert chain == [method, fejer.Method]


def test_one_method_or_problem_per_file():
    import_everything()
    bases = {"fejer.solvers.": fejer.Method, "fejer.problems.": fejer.Problem}
    for name, module in list(sys.modules.items()):
        for folder, base in bases.items():
            if name.startswith(folder) and not name.rpartition(".")[2].startswith("_"):
                members = vars(module).values()
                own = [
                    kind for kind in members if isinstance(kind, type) and kind.__module__ == name
                ]
                assert sum(issubclass(kind, base) for kind in own) <= 1, name


# Kernels ----------------------------------------------------------------------------------------


def import_everything():
    for folder in ("numerics", "problems", "solvers"):
        package = importlib.import_module(f"fejer.{folder}")
        for found in pkgutil.walk_packages(package.__path__, f"fejer.{folder}."):
            importlib.import_module(found.name)


def may_call(module, target):
    """Whether a change of `target` recompiles the kernels of `module` (`fejer.kernel_cache`)."""
    inside = target.startswith(("fejer.problems.", "fejer.solvers."))
    private = inside and target.rpartition(".")[2].startswith("_")
    return target in (module, "fejer.jit") or private or target.startswith("fejer.numerics.")


def used_names(code):
    inner = [constant for constant in code.co_consts if hasattr(constant, "co_names")]
    return set(code.co_names).union(*map(used_names, inner))


def forbidden(module, used, tree):
    """The imported names that kernels of a file use although their cache would not notice changes.

    An imported number counts: it is frozen into the machine code.
    """
    bad = []
    for name, target in imports(module, tree):
        if name in used and target.startswith("fejer."):
            owner = target if target in SOURCES else target.rpartition(".")[0]
            if not may_call(module, owner):
                bad.append(f"{name} of {owner}")
    return bad


def test_kernels_use_what_their_cache_watches():
    import_everything()
    used = {}
    for kernel in jit.kernels():
        if kernel.__module__ in SOURCES:
            names = used_names(kernel._function.__code__)
            used.setdefault(kernel.__module__, set()).update(names)
            for name in names:
                target = kernel._function.__globals__.get(name)
                if isinstance(target, jit.Kernel):
                    assert may_call(kernel.__module__, target.__module__), (kernel, target)
                plain = hasattr(target, "__code__") and not isinstance(target, jit.Kernel)
                assert not plain, f"{kernel!r} uses {name}, which is not a kernel"
    assert used
    for module, names in used.items():
        assert not forbidden(module, names, ast.parse(SOURCES[module].read_text(encoding="utf-8")))


def test_forbidden_kernel_calls_are_noticed():
    module = "fejer.solvers.general.fista"
    tree = ast.parse(
        "from fejer.solvers.sparse._cd import sweep\n"
        "from fejer.solvers.sparse.bcd import sweep as other, LIMIT\n"
        "from fejer.numerics.elementary import exp\n"
    )
    assert not forbidden(module, {"sweep", "exp"}, tree)
    assert len(forbidden(module, {"sweep", "exp", "other", "LIMIT"}, tree)) == 2


def test_files_bear_the_name_of_their_method():
    for method in fejer.registry():
        stem = method.__module__.rpartition(".")[2]
        assert _lazy.squash(stem) == _lazy.squash(method.name), method
