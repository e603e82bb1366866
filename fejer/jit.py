"""Compiled kernels: the decorator `kernel`, the cache folder, and the compile clock.

Every compiled function of the package is made by `kernel` and by nothing else.  It returns a
`Kernel`, which imports numba and compiles at its first call, so that importing the package loads
neither numba nor numpy.  Machine code is kept between processes in a folder whose name contains a
hash of all source that kernels of other files may call; see `fejer.kernel_cache`.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any, overload

from .kernel_cache import cache_folder

__all__ = ["Kernel", "compile_time", "disabled", "kernel", "kernels", "prange"]

# Reassociation lets sums vectorise.  "nnan" and "ninf" must stay out: they delete tests for nan and
# break comparisons with infinity.
FASTMATH = frozenset({"reassoc", "contract", "nsz", "arcp"})

# In a kernel made with parallel=True this name means numba.prange; elsewhere it is a plain range.
prange = range

_registry: weakref.WeakSet[Kernel] = weakref.WeakSet()
_building = threading.RLock()


class Kernel:
    """A function that is compiled by numba at its first call.

    Kernels call each other by name, may be passed as arguments to other kernels, and pickle by
    name.  With the environment variable ``NUMBA_DISABLE_JIT=1`` they run as plain Python.  They are
    made by `kernel`, which explains the parameters.

    Attributes
    ----------
    py_func : function
        What runs when compilation is disabled.
    shared : bool
        Whether arguments may share memory that is written.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        fastmath: frozenset[str] = FASTMATH,
        parallel: bool = False,
        shared: bool = False,
        inline: str = "never",
        namespace: Callable[[], Mapping[str, Any]] | None = None,
        plain: Callable[..., Any] | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.__qualname__: str = function.__qualname__
        self.py_func = plain or function
        self._function = function
        self._fastmath = fastmath
        self._parallel = parallel
        self.shared = shared
        self._inline = inline
        self._namespace = namespace
        self._dispatcher: Any = None
        self._run: Callable[..., Any] = self._first_call
        _registry.add(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(*args, **kwargs)

    def _first_call(self, *args: Any, **kwargs: Any) -> Any:
        self._run = self.py_func if disabled() else self._built()
        return self._run(*args, **kwargs)

    @property
    def _numba_type_(self) -> Any:
        # numba asks values of unknown classes for this attribute; with it a kernel is typed as its
        # dispatcher, wherever it is met: as a global of another kernel or as an argument.
        return self._built()._numba_type_

    def _built(self) -> Any:
        if self._dispatcher is None:
            numba = _import_numba()
            with _building:
                if self._dispatcher is None:
                    self._dispatcher = _decorate(
                        numba,
                        self._clone(numba),
                        # parallel loops are analysed by numba itself
                        apart=not (self.shared or self._parallel),
                        fastmath=set(self._fastmath),
                        parallel=self._parallel,
                        inline=self._inline,
                        error_model="numpy",
                        nogil=True,
                        # A callee that stays outside exists in the machine code of each caller,
                        # optimised differently, and the loader takes the first that it meets:
                        # bits would depend on what was compiled and what came from the cache.
                        forceinline=True,
                    )
        return self._dispatcher

    def _clone(self, numba: Any) -> Callable[..., Any]:
        """The function under the name that its options need, with the names that it may see.

        numba's cache knows a function by its file, name and byte code but not by its flags: two
        kernels made of one function would load each other's machine code.
        """
        source: Any = self._function
        suffix = "_parallel" if self._parallel else ""
        if self.shared:
            suffix += "_shared"
        if self._fastmath != FASTMATH:
            suffix += "_" + "_".join(sorted(self._fastmath))
        if self._inline != "never":
            suffix += "_inline"
        extra = {"prange": numba.prange} if self._parallel else {}
        if self._namespace is not None:
            extra |= self._namespace()
        if not (suffix or extra):
            return self._function
        clone = FunctionType(
            source.__code__,
            source.__globals__ | extra if extra else source.__globals__,
            source.__name__ + suffix,
            source.__defaults__,
            source.__closure__,
        )
        clone.__kwdefaults__ = source.__kwdefaults__
        clone.__qualname__ = source.__qualname__ + suffix
        clone.__module__ = source.__module__
        clone.__doc__ = source.__doc__
        return clone

    @property
    def signatures(self) -> list[tuple[Any, ...]]:
        """The argument types for which machine code exists in this process."""
        return [] if self._dispatcher is None else list(self._dispatcher.signatures)

    @property
    def stats(self) -> dict[str, int]:
        """How often a specialisation was loaded from the cache, and how often it was compiled."""
        if self._dispatcher is None:
            return {"loaded": 0, "compiled": 0}
        loaded = sum(self._dispatcher.stats.cache_hits.values())
        return {"loaded": loaded, "compiled": len(self._dispatcher.signatures) - loaded}

    def __reduce__(self) -> str:
        module = sys.modules[self.__module__]
        names = [name for name, value in vars(module).items() if value is self]
        if names:
            return names[0]
        raise TypeError(f"{self!r} cannot be pickled: its module does not hold it under a name")

    def __repr__(self) -> str:
        return f"<kernel {self.__module__}.{self.__qualname__}>"


@overload
def kernel(function: Callable[..., Any] | Kernel, /) -> Kernel: ...
@overload
def kernel(
    *,
    fastmath: Iterable[str] = ...,
    parallel: bool = ...,
    shared: bool = ...,
    inline: str = ...,
    namespace: Callable[[], Mapping[str, Any]] | None = ...,
    plain: Callable[..., Any] | None = ...,
) -> Callable[[Callable[..., Any] | Kernel], Kernel]: ...
def kernel(
    function: Callable[..., Any] | Kernel | None = None,
    /,
    *,
    fastmath: Iterable[str] | bool = FASTMATH,
    parallel: bool = False,
    shared: bool = False,
    inline: str = "never",
    namespace: Callable[[], Mapping[str, Any]] | None = None,
    plain: Callable[..., Any] | None = None,
) -> Kernel | Callable[[Callable[..., Any] | Kernel], Kernel]:
    """Make a function a compiled kernel.

    Division by zero gives inf or nan as in numpy, and the interpreter's lock is released.  A kernel
    takes arrays and numbers, writes into its arguments, allocates nothing in loops, and calls only
    kernels of its own file, of ``fejer/numerics/`` and of files whose name begins with ``_``: the
    cache is invalidated by changes of these and of no others.

    Parameters
    ----------
    function : function or Kernel
        The function; a Kernel stands for the function it was made of, for a second kernel with
        other options.
    fastmath : iterable of str, default {"reassoc", "contract", "nsz", "arcp"}
        LLVM's floating-point liberties.  ``True`` is refused, since it deletes tests for nan.
    parallel : bool, default False
        Use threads in loops over ``prange`` (import it from this module).  Worth its price only
        where one call takes over a millisecond.
    shared : bool, default False
        Whether an array that is written may share memory with another argument, as in
        ``f(x, step, x)``, or be returned.  All other kernels are compiled on the promise that none
        does: LLVM would otherwise measure the distance of two arrays before each vectorised loop
        and run it entry by entry where tiny arrays lie side by side, so that the last bit of a sum
        depended on where they lie.  The tests look at every call.
    inline : str, default "never"
        numba's own inlining, "never" or "always"; LLVM inlines small kernels anyway.
    namespace : callable, optional
        Returns a dict of names that the compiled function sees instead of its globals.  It is
        called when the kernel is built, so that it may import numba.
    plain : callable, optional
        What runs instead of `function` when compilation is disabled.

    Returns
    -------
    Kernel
        Callable like the function.

    Raises
    ------
    TypeError
        If `fastmath` is a bool.

    Examples
    --------
    >>> import numpy as np
    >>> from fejer.jit import kernel
    >>> @kernel
    ... def squared_norm(x):
    ...     total = 0.0
    ...     for value in x:
    ...         total += value * value
    ...     return total
    >>> squared_norm(np.array([3.0, 4.0]))
    25.0
    """
    if isinstance(fastmath, bool):
        raise TypeError("fastmath: name the flags; True would delete tests for nan")
    flags = frozenset(fastmath)

    def make(function: Callable[..., Any] | Kernel) -> Kernel:
        return Kernel(
            function._function if isinstance(function, Kernel) else function,
            fastmath=flags,
            parallel=parallel,
            shared=shared,
            inline=inline,
            namespace=namespace,
            plain=plain,
        )

    return make if function is None else make(function)


def kernels() -> list[Kernel]:
    """All kernels of the imported modules, by module and name.

    Returns
    -------
    list of Kernel
        ``sum(bool(k.signatures) for k in kernels())`` of them have machine code.
    """
    return sorted(_registry, key=lambda k: (k.__module__, k.__qualname__))


def disabled() -> bool:
    """Whether ``NUMBA_DISABLE_JIT`` asks for plain Python."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


# The compile clock ------------------------------------------------------------------------------


class _Clock(threading.local):
    """Seconds that the current thread has spent in numba's compiler and in importing numba."""

    total = 0.0
    depth = 0
    begun = 0.0

    def notify(self, event: Any) -> None:
        """Take one of the compiler's events; the lock is re-entrant, so they nest."""
        if event.is_start:
            if self.depth == 0:
                self.begun = time.perf_counter()
            self.depth += 1
        elif self.depth > 0:  # 0: numba was already compiling when this clock was set up
            self.depth -= 1
            if self.depth == 0:
                self.total += time.perf_counter() - self.begun


_clock = _Clock()
_listening = False


def compile_time() -> float:
    """Seconds that this thread has spent so far on compiling kernels.

    Importing numba on behalf of a kernel and loading machine code from the cache count.  The value
    never decreases: a driver subtracts the growth over a call from the call's duration.
    """
    return _clock.total


def _import_numba() -> Any:
    """Import numba, on the compile clock, and listen to its compiler from then on."""
    global _listening
    begun = time.perf_counter()
    import numba
    import numba.core.event

    with _building:
        if not _listening:
            # The compiler lock surrounds everything that numba does for a new specialisation.
            event: Any = numba.core.event
            event.Listener.register(_Clock)
            event.register("numba:compiler_lock", _clock)
            _listening = True
    if _clock.depth == 0:  # otherwise the compiler, which asked for this kernel, counts it
        _clock.total += time.perf_counter() - begun
    return numba


@functools.cache
def _pipeline() -> type[Any]:
    """numba's compiler, told that arguments share no memory."""
    from numba.core.compiler import Compiler

    base: Any = Compiler

    class Apart(base):  # type: ignore[misc]
        def define_pipelines(self) -> Any:
            self.state.flags.noalias = True
            return super().define_pipelines()

    return Apart


def _decorate(numba: Any, function: Callable[..., Any], *, apart: bool, **options: Any) -> Any:
    if apart:
        options["pipeline_class"] = _pipeline()
    folder = cache_folder()
    if folder is not None:
        # Only around the decoration: the user's own numba functions keep their cache.
        previous, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:
            pass  # no file holds the source, as at an interactive prompt
        finally:
            numba.config.CACHE_DIR = previous
    return numba.njit(**options)(function)
