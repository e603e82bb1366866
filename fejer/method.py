"""The contract of a method: options, state, rate, and the register of all methods."""

from __future__ import annotations

import importlib
import math
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np

from . import _lazy
from .errors import MethodError, OptionError, did_you_mean
from .evidence import EMPTY, Array
from .state import State

if TYPE_CHECKING:
    from .problem import Problem

__all__ = [
    "Method",
    "Rate",
    "Start",
    "State",
    "option",
    "register",
    "registry",
]


class Start(NamedTuple):
    """Where a run starts.

    Attributes
    ----------
    x : array
        A copy that the method may keep; the problem's initial point if the user gave none.
    given : bool
        False: the method may initialise itself, from its generator.
    witness : mapping
        Witness of the result that was given as start.
    """

    x: Array
    given: bool = False
    witness: Mapping[str, Array] = EMPTY


@dataclass(frozen=True)
class Rate:
    """A theorem about a method, in a form that a run can be compared with.

    Attributes
    ----------
    statement : str
        The theorem in words and formula, with its source.
    form : {"sublinear", "linear", "superlinear"}
        The law: ``k**-p``, ``q**k``, or of an order above 1.
    exponent : float
        ``p``, or the order.
    factor : callable, optional
        ``factor(problem)``: ``q``, where it is known.
    assumptions : str
        What the theorem asks for.
    measure : callable, optional
        ``measure(problem, x, xstar)``: the quantity bounded; None: the certificate's value.
    bound : callable, optional
        ``bound(problem, x0, xstar, k)``: the right-hand side, constants included.
    worst_case : callable, optional
        ``worst_case(k)``: a problem on which the bound is (nearly) reached after k iterations.
    """

    statement: str
    form: Literal["sublinear", "linear", "superlinear"]
    exponent: float = math.nan
    factor: Callable[..., float] | None = None
    assumptions: str = ""
    measure: Callable[..., float] | None = None
    bound: Callable[..., float] | None = None
    worst_case: Callable[[int], Problem] | None = None


def option(
    default: Any = MISSING,
    *,
    above: float | None = None,
    below: float | None = None,
    least: float | None = None,
    most: float | None = None,
    choices: Sequence[str] | None = None,
    doc: str,
) -> Any:
    """Declare an option of a method: a dataclass field with its bounds and meaning.

    Parameters
    ----------
    default : any
        The default; it must pass its own check.
    above, below : float, optional
        Strict bounds.
    least, most : float, optional
        Bounds that may be reached.
    choices : sequence of str, optional
        The texts that are accepted.
    doc : str
        What the option means, in one line.

    Returns
    -------
    dataclasses.Field
    """
    bounds = {"above": above, "below": below, "least": least, "most": most}
    bounds = {key: bound for key, bound in bounds.items() if bound is not None}
    chosen = None if choices is None else tuple(choices)
    return field(
        default=default, metadata={"option": True, "doc": doc, "choices": chosen, **bounds}
    )


_SIGNS = {"above": ">", "below": "<", "least": ">=", "most": "<="}
_KINDS = {int: "an integer", float: "a number", bool: "True or False", str: "a text"}


def _accepts(value: Any, kind: Any) -> bool:
    if kind is None or kind is type(None):
        return value is None
    origin = typing.get_origin(kind) or kind
    if origin is Literal:
        return value in typing.get_args(kind)
    if origin is Any:
        return True
    if isinstance(value, bool | np.bool_):
        return origin is bool
    if origin is float:
        return isinstance(value, int | float | np.integer | np.floating)
    if origin is int:
        return isinstance(value, int | np.integer)
    if origin is Callable or getattr(origin, "__name__", "") == "Callable":
        return callable(value)
    return isinstance(origin, type) and isinstance(value, origin)


def _members(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


class Method:
    """Base of all methods.

    A subclass is ``@register @dataclass(frozen=True, eq=False)``; its fields are its options, each
    made by `option`. It writes `begin` and `advance`, and `prepare`, `point`, `witness`, `rate`,
    `supports` where the defaults do not serve.

    Attributes
    ----------
    name : str
        What ``method=`` is called with: lower case, digits, hyphens.
    solves : tuple of type
        Problem classes, or mixins that promise a form.
    cites : tuple of str
        Sources, with identifiers.
    one_shot : bool
        An outside solver called once.
    reach : float or None
        Accuracy that the contract tests demand on ``random()``; None: an honest status only.
    """

    name: ClassVar[str]
    solves: ClassVar[tuple[type, ...]]
    cites: ClassVar[tuple[str, ...]] = ()
    one_shot: ClassVar[bool] = False
    reach: ClassVar[float | None] = 1e-6

    def __post_init__(self) -> None:
        hints = _hints(type(self))
        for spec in fields(self):  # type: ignore[arg-type]
            checked = self._check(
                spec.name, getattr(self, spec.name), hints[spec.name], spec.metadata
            )
            object.__setattr__(self, spec.name, checked)

    def _check(self, name: str, value: Any, annotation: Any, bounds: Mapping[str, Any]) -> Any:
        kinds = _members(annotation)
        choices = bounds.get("choices")
        good = any(_accepts(value, kind) for kind in kinds)
        if good and choices and isinstance(value, str):
            good = value in choices
        number = value if isinstance(value, int | float | np.number) else None
        if good and number is not None and not isinstance(value, bool):
            good = math.isfinite(number) and not (
                ("above" in bounds and not number > bounds["above"])
                or ("below" in bounds and not number < bounds["below"])
                or ("least" in bounds and not number >= bounds["least"])
                or ("most" in bounds and not number <= bounds["most"])
            )
        if not good:
            limits = " and ".join(f"{_SIGNS[k]} {bounds[k]:g}" for k in _SIGNS if k in bounds)
            texts = " or ".join(repr(c) for c in choices) if choices else ""
            others = (
                [] if choices else [_KINDS.get(k, getattr(k, "__name__", str(k))) for k in kinds]
            )
            wanted = limits or texts or " or ".join(others).replace("NoneType", "None")
            raise OptionError(f"{self.name}: {name} must be {wanted}, got {value!r:.80}")
        if number is None or isinstance(value, bool):
            return value
        return float(value) if float in kinds and int not in kinds else value

    # ---- what a method writes ----------------------------------------------------------------
    @property
    def rate(self) -> Rate | None:
        """The theorem for these options."""
        return None

    def supports(self, problem: Any) -> str | None:
        """Return None, or the reason why this problem is out of reach."""
        return None

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> Any:
        """Compute constants and factorisations, from the data only; rebuilt on resume."""
        return None

    def begin(self, problem: Any, prep: Any, start: Start, rng: np.random.Generator) -> Any:
        """Return the first state."""
        raise NotImplementedError

    def advance(self, problem: Any, prep: Any, state: Any, n: int) -> bool:
        """Make up to ``n`` iterations in place; True asks to be judged now."""
        raise NotImplementedError

    def point(self, problem: Any, prep: Any, state: Any) -> Array:
        """Return the point to be judged."""
        return state.x  # type: ignore[no-any-return]

    def witness(self, problem: Any, prep: Any, state: Any) -> Mapping[str, Array]:
        """Return what goes with the point: duals, multipliers, a plan."""
        return EMPTY

    # ---- what every method gets -----------------------------------------------------------------
    @classmethod
    def make(cls, options: Mapping[str, Any] | None = None) -> Method:
        """Build the method with these options, or name the wrong one."""
        known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
        for name in options or {}:
            if name not in known:
                hint = _FROM_SCIPY.get(name)
                hint = f"fejer.minimize takes {hint!r} for it. " if hint else ""
                text = f"{cls.name}: unknown option {name!r}. {hint}{did_you_mean(name, known)}"
                raise OptionError(text)
        return cls(**(options or {}))

    @classmethod
    def treats(cls, problem: Any) -> bool:
        """Whether the class of the problem (or the class given) is among `solves`."""
        kind = problem if isinstance(problem, type) else type(problem)
        return issubclass(kind, cls.solves)

    @classmethod
    def suits(cls, problem: Any) -> bool:
        """Whether this very problem can be solved with the default options."""
        return cls.treats(problem) and cls().supports(problem) is None

    def options(self) -> dict[str, Any]:
        """Return the options as a dict."""
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]


_FROM_SCIPY = {
    "maxiter": "max_iter",
    "maxfun": "max_work",
    "maxfev": "max_work",
    "gtol": "tol",
    "ftol": "tol",
    "xtol": "tol",
    "xatol": "tol",
    "fatol": "tol",
    "disp": "progress",
    "seed": "rng",
    "time_limit": "max_time",
}

_REGISTER: dict[tuple[str, str], type[Method]] = {}
_HINTS: dict[type, dict[str, Any]] = {}
_FIELDS = "__dataclass_fields__"
_discovered = False
M = TypeVar("M", bound=type[Method])


def _hints(cls: type) -> dict[str, Any]:
    if cls not in _HINTS:
        _HINTS[cls] = typing.get_type_hints(cls)
    return _HINTS[cls]


def register(cls: M) -> M:
    """Enter a Method class in the registry (a class decorator).

    A class in a file whose name starts with an underscore is checked and not listed.

    Raises
    ------
    TypeError
        The class is no dataclass, lacks a name, or has a field that is no `option`.
    """
    kind: Any = cls
    if not (isinstance(kind, type) and issubclass(kind, Method) and hasattr(kind, _FIELDS)):
        raise TypeError(f"{kind.__name__}: expected a Method that is a frozen dataclass")
    for attribute in ("name", "solves"):
        if not getattr(kind, attribute, None):
            raise TypeError(f"{cls.__name__}: expected a class attribute {attribute!r}")
    for spec in vars(kind)[_FIELDS].values():
        if not spec.metadata.get("option"):
            raise TypeError(f"{cls.__name__}.{spec.name}: expected a field made by option()")
    stem = cls.__module__.rpartition(".")[2]
    if stem == "__main__" or not stem.startswith("_"):
        file = getattr(sys.modules.get(cls.__module__), "__file__", cls.__module__)
        _REGISTER[str(file), cls.__qualname__] = cls
    return cls


def registry() -> tuple[type[Method], ...]:
    """Return all methods, by name; imports every public module of ``solvers`` once."""
    global _discovered
    if not _discovered:
        for module, _ in _lazy.files("solvers"):
            importlib.import_module(module)
        _discovered = True
    return _known()


def _known() -> tuple[type[Method], ...]:
    return tuple(sorted(_REGISTER.values(), key=lambda m: (m.name, m.__qualname__)))


def named(name: str, problem: Any) -> list[type[Method]]:
    """Return the methods of that name that treat ``problem``.

    A method's file bears its name, so that a solve imports the one file and not sixty.
    """
    for module, _ in _lazy.stems().get(_lazy.squash(name), ()):
        if module.startswith("fejer.solvers."):
            importlib.import_module(module)
    return [m for m in _known() if m.name == name and m.treats(problem)]


def find(
    method: str | Method | type[Method], problem: Any, options: Mapping[str, Any] | None
) -> Method:
    """Turn what the user wrote as ``method`` into a Method that treats ``problem``."""
    if isinstance(method, Method):
        if options:
            raise OptionError(f"options: {method.name} was given as an object, which has its own")
        made = method
    elif isinstance(method, type) and issubclass(method, Method):
        made = method.make(options)
    elif isinstance(method, str):
        fitting = named(method, problem) or [m for m in registry() if m.name == method]
        if not fitting:
            known = [m.name for m in registry() if m.suits(problem)]
            raise MethodError(f"unknown method {method!r}. {did_you_mean(method, known)}")
        made = fitting[0].make(options)
    else:
        raise MethodError(f"method: expected a name or a Method, got {type(method).__name__}")
    reason = made.supports(problem) if made.treats(problem) else ""
    if reason is not None:
        known = [m.name for m in registry() if m.suits(problem) and m.name != made.name]
        text = f"{made.name} does not treat {'this ' if reason else ''}{type(problem).__name__}"
        text += f" ({reason})" if reason else ""
        raise MethodError(f"{text}; methods that do: {', '.join(known) or 'none'}")
    return made


def chain(problem: Any) -> list[Method]:
    """Return the methods of ``problem.auto()`` that exist and treat it, in order."""
    found = [method() for name in problem.auto() for method in named(name, problem)[:1]]
    found = [method for method in found if method.supports(problem) is None]
    if not found:
        raise MethodError(f"no method treats this {type(problem).__name__}")
    return found
