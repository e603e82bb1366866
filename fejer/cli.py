"""The command line: ``fejer`` and ``python -m fejer``."""

import argparse
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

import fejer
from fejer import _lazy

REQUIRED = ("numpy", "scipy", "numba", "tqdm")
OPTIONAL = ("qdldl", "matplotlib", "scikit-learn", "cvxpy", "joblib", "threadpoolctl")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``fejer``; default: those of the process.

    Returns
    -------
    int
        The exit code, 0 where all went well.
    """
    parser = _parser()
    chosen, rest = parser.parse_known_args(arguments)
    if rest and "target" not in chosen:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        if "target" in chosen:  # a command with a parser of its own
            module, _, function = chosen.target.partition(":")
            return int(getattr(import_module(module), function)(rest))
        chosen.run(chosen)
    except fejer.FejerError as error:
        print(f"fejer: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fejer", description="Optimization with certificates.")
    parser.add_argument("--version", action="version", version=fejer.__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    demo = commands.add_parser("demo", add_help=False, help="solve real problems of every family")
    demo.set_defaults(target="fejer.benchmarks.demo:main")

    methods = commands.add_parser("methods", help="list the methods, or describe one")
    methods.add_argument("name", nargs="?", metavar="PROBLEM|METHOD", help="default: all methods")
    methods.set_defaults(run=_methods)

    for name, run, text in (
        ("info", _info, "show versions, the kernel cache and the BLAS threads"),
        ("warmup", _warmup, "compile the kernels of all methods into the cache"),
        ("stub", _stub, "write fejer/__init__.pyi, the public names for editors"),
    ):
        commands.add_parser(name, help=text).set_defaults(run=run)

    if find_spec("fejer.benchmarks.engine"):
        bench = commands.add_parser("bench", add_help=False, help="run and compare suites")
        bench.set_defaults(target="fejer.benchmarks.engine:main")
    return parser


def _methods(chosen: argparse.Namespace) -> None:
    print(fejer.methods(chosen.name))


def _info(chosen: argparse.Namespace) -> None:
    from fejer import jit
    from fejer.kernel_cache import cache_folder

    registered = fejer.registry()  # imports every method, hence every kernel
    folder = cache_folder()
    rows = [
        ("fejer", f"{fejer.__version__} in {Path(fejer.__file__).parent}"),
        ("python", f"{platform.python_version()} on {platform.platform()}"),
        *((name, _version(name)) for name in REQUIRED + OPTIONAL),
        ("methods", str(len(registered))),
        ("kernels", str(len(jit.kernels()))),
        ("kernel cache", _size(folder) if folder else "no writable folder: each process compiles"),
        *(("blas", text) for text in _blas()),
    ]
    for name, text in rows:
        print(f"{name:14}{text}")


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def _size(folder: Path) -> str:
    sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
    return f"{folder} ({len(sizes)} files, {sum(sizes) / 1e6:.1f} MB)"


def _blas() -> Iterator[str]:
    import scipy.linalg  # noqa: F401  (loads the BLAS libraries that are asked about)

    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        yield "threads unknown: pip install threadpoolctl"
        return
    for library in threadpool_info():
        yield f"{library['internal_api']} {library['version']}, {library['num_threads']} threads"


def _warmup(chosen: argparse.Namespace) -> None:
    from fejer import jit, testing

    for method, cls in testing.pairs():
        problem = cls.random()
        begun = time.perf_counter()
        fejer.minimize(problem, method=method, max_iter=3)
        seconds = time.perf_counter() - begun
        print(f"{method.name:24}{cls.__name__:24}{seconds:8.2f} s", flush=True)
    stats = [kernel.stats for kernel in jit.kernels()]
    compiled = sum(count["compiled"] for count in stats)
    loaded = sum(count["loaded"] for count in stats)
    print(f"{len(stats)} kernels: {compiled} specialisations compiled, {loaded} from the cache")


def _stub(chosen: argparse.Namespace) -> None:
    target = Path(_lazy.__file__).with_name("__init__.pyi")
    target.write_text(_lazy.stub(), encoding="utf-8")
    print(f"wrote {target}")
