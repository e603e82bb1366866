"""Processes in which rival libraries run.

Libraries clash (threads, signal handlers, global state): each peer is served by a process of its
own, and one that crashes, hangs or returns nan is recorded as such and takes nobody with it. A
server builds instances from their recipes, so that nothing has to travel but answers.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import importlib.util
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fejer

__all__ = ["Answer", "Server", "absent", "close_all", "in_fresh_process", "serve", "server_of"]

START_SECONDS = 120.0  # imports, and compilation by the peer
GRACE_SECONDS = 10.0  # beyond max_time: few libraries know how to stop in time


@dataclass
class Answer:
    """What a peer returned, and how long that took.

    Attributes
    ----------
    x : array_like
        Its point.
    witness : mapping
        Duals and the like, if it returned any.
    wall, cpu : float
        Seconds of the call alone; ``cpu`` counts all threads.
    reason : str
        Why there is no answer, where there is none.
    """

    x: Any = None
    witness: Mapping[str, Any] = field(default_factory=dict)
    wall: float = 0.0
    cpu: float = 0.0
    reason: str = ""


def absent(module: str) -> str:
    """Say that a module is not installed, or nothing.

    Parameters
    ----------
    module : str
        Import name.

    Returns
    -------
    str
        ``"not installed: name"`` or the empty string.

    Examples
    --------
    >>> absent("numpy"), absent("a_library_that_nobody_wrote")
    ('', 'not installed: a_library_that_nobody_wrote')
    """
    return "" if importlib.util.find_spec(module) else f"not installed: {module}"


class Server:
    """A child process that prepares instances and solves them on request."""

    def __init__(self) -> None:
        home = Path(fejer.__file__).resolve().parents[1]
        paths = [str(home), *filter(None, [os.environ.get("PYTHONPATH")])]
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.child = subprocess.Popen(
            [sys.executable, "-c", "from fejer.benchmarks.servers import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **one, "PYTHONPATH": os.pathsep.join(paths)},
        )
        self.answers: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                self.answers.put(pickle.load(self.child.stdout))  # type: ignore[arg-type]
            except Exception:  # the pipe is closed or cut: the process is gone
                self.answers.put(None)
                return

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.child.poll() is None

    def ask(self, message: tuple[Any, ...], seconds: float) -> Any:
        """Send a message and wait for its answer, at most so long.

        Parameters
        ----------
        message : tuple
            A request of `serve`.
        seconds : float
            Patience.

        Returns
        -------
        object
            The answer; None: the process died; a TimeoutError: it was killed for hanging.
        """
        try:
            self.child.stdin.write(pickle.dumps(message))  # type: ignore[union-attr]
            self.child.stdin.flush()  # type: ignore[union-attr]
            said = self.answers.get(timeout=seconds)
        except (OSError, ValueError):  # a broken or a closed pipe
            said = None
        except queue.Empty:
            said = TimeoutError()
        if said is None or isinstance(said, TimeoutError):
            self.close()
        return said

    def prepare(self, call: str, instance: Mapping[str, Any], seed: int, tol: float) -> str:
        """Let the peer prepare an instance and solve it once, untimed; say why, if it cannot."""
        said = self.ask(("prepare", call, dict(instance), seed, tol), START_SECONDS)
        return said if isinstance(said, str) else _trouble(said, START_SECONDS)

    def solve(self, tol: float, max_time: float) -> Answer:
        """Let the peer solve what it prepared last."""
        patience = max_time + GRACE_SECONDS
        said = self.ask(("solve", tol), patience)
        return said if isinstance(said, Answer) else Answer(reason=_trouble(said, patience))

    def close(self) -> None:
        """End the process."""
        self.child.kill()
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            try:
                stream.close()  # type: ignore[union-attr]
            except (OSError, ValueError):
                pass


def _trouble(said: Any, patience: float) -> str:
    late = isinstance(said, TimeoutError)
    return f"no answer within {patience:g} s: killed" if late else "crashed"


_SERVERS: dict[tuple[int, str], Server] = {}


def server_of(call: str) -> Server:
    """Return this thread's server of a peer, started when first asked for; a dead one is replaced.

    Parameters
    ----------
    call : str
        The peer's ``"module:function"``.

    Returns
    -------
    Server
        It ends with this process.
    """
    place = threading.get_ident(), call
    server = _SERVERS.get(place)
    if server is None or not server.alive:
        server = _SERVERS[place] = Server()
    return server


@atexit.register
def close_all() -> None:
    """End all servers of this process."""
    while _SERVERS:
        _SERVERS.popitem()[1].close()


def in_fresh_process(function: str, *arguments: Any, seconds: float = 600.0) -> Any:
    """Call ``"module:function"`` in a process of its own and return what it returns.

    Parameters
    ----------
    function : str
        What to call.
    *arguments
        Picklable arguments.
    seconds : float, default 600
        Patience.

    Returns
    -------
    object
        nan where the call failed or the process died.

    Examples
    --------
    >>> in_fresh_process("math:sqrt", 4.0), in_fresh_process("math:sqrt", -1.0)
    (2.0, nan)
    """
    server = Server()
    try:
        said = server.ask(("call", function, arguments), seconds)
        return float("nan") if said is None or isinstance(said, Exception) else said
    finally:
        server.close()


# ---- the other side ------------------------------------------------------------------------------


def serve() -> None:
    """Answer requests from standard input until it closes; what libraries print goes nowhere."""
    from threadpoolctl import threadpool_limits

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    solve: Any = None
    while True:
        try:
            message = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        said: Any
        with threadpool_limits(1):
            if message[0] == "prepare":
                solve = None  # two instances at once may not fit into memory
                said, solve = _prepared(*message[1:])
            elif message[0] == "solve":
                said = _solved(solve, message[1])
            else:
                said = _called(message[1], message[2])
        answers.write(pickle.dumps(said))
        answers.flush()


def _resolve(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)  # type: ignore[no-any-return]


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _called(function: str, arguments: tuple[Any, ...]) -> Any:
    try:
        return _resolve(function)(*arguments)
    except Exception as error:
        return RuntimeError(_said(error))


def _prepared(call: str, instance: dict[str, Any], seed: int, tol: float) -> tuple[str, Any]:
    from .suite import Instance

    try:
        solve = _resolve(call)(Instance(**instance).build(seed))
        solve(tol)
        return "", solve
    except Exception as error:
        return _said(error), None


def _solved(solve: Any, tol: float) -> Answer:
    gc.collect()
    gc.disable()
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        found = solve(tol)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    except Exception as error:
        return Answer(reason=_said(error))
    finally:
        gc.enable()
    x, witness = found if isinstance(found, tuple) else (found, {})
    return Answer(x, dict(witness), wall, cpu)
