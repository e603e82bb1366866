"""The folder of machine code: where it lies, and when what it holds is stale."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

__all__ = ["cache_folder", "shared_source_hash"]

KEPT_FOLDERS = 3
_FOLDER_NAME = re.compile(r".+-[0-9a-f]{12}-numba[0-9.a-z+]+")


@functools.cache
def cache_folder() -> Path | None:
    """The folder that holds the machine code of this version of the shared source.

    It lies in ``$NUMBA_CACHE_DIR``, ``$XDG_CACHE_HOME/fejer`` or ``~/.cache/fejer``, whichever is
    set and writable first.  numba looks for changes only in the file of the cached function itself;
    a change in a helper of another file would leave stale machine code.  Therefore the folder's
    name has a hash of all files whose kernels others may call.

    Returns
    -------
    Path or None
        None where nothing is writable: kernels then compile in each process.
    """
    import numba

    package = sys.modules.get("fejer")
    version = getattr(package, "__version__", "0")
    name = f"{version}-{shared_source_hash()}-numba{numba.__version__}"
    home = os.path.expanduser("~")
    for root in (
        os.environ.get("NUMBA_CACHE_DIR"),
        os.environ.get("XDG_CACHE_HOME") and os.path.join(os.environ["XDG_CACHE_HOME"], "fejer"),
        home != "~" and os.path.join(home, ".cache", "fejer"),
    ):
        if not root:
            continue
        folder = Path(root) / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            os.utime(folder)
        except OSError:
            continue
        _prune(folder)
        return folder
    return None


def shared_source_hash() -> str:
    """Hash the files whose kernels others may call.

    Returns
    -------
    str
        Twelve hexadecimal digits.

    Examples
    --------
    >>> len(shared_source_hash())
    12
    """
    package = Path(__file__).resolve().parent
    files = [package / "jit.py", *package.joinpath("numerics").glob("*.py")]
    for name in ("problems", "solvers"):
        # Installed, these folders are inside the package; in a checkout they are beside it.
        folder = package / name if package.joinpath(name).is_dir() else package.parent / name
        files += folder.rglob("_*.py")
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.parent.name}/{file.name}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _prune(current: Path) -> None:
    """Remove all but the last used folders; a process that misses one compiles again."""

    def last_use(folder: Path) -> float:
        try:
            return folder.stat().st_mtime
        except OSError:  # another process removed it
            return 0.0

    folders = [f for f in current.parent.iterdir() if _FOLDER_NAME.fullmatch(f.name)]
    for folder in sorted(folders, key=last_use, reverse=True)[KEPT_FOLDERS:]:
        if folder != current:
            shutil.rmtree(folder, ignore_errors=True)
