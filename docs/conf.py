"""Sphinx: guides, an API page for each family made from the docstrings, and executed examples.

``sphinx-build -W -b html docs docs/_build`` needs no network.
"""

import inspect
import os
import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
os.environ.setdefault("MPLBACKEND", "Agg")

import fejer  # noqa: E402
from fejer import _lazy  # noqa: E402

project = "fejer"
author = "the fejer developers"
version = release = fejer.__version__
extensions = [
    "sphinx.ext.autodoc",
    "matplotlib.sphinxext.mathmpl",  # formulas as pictures: pages open without network
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples", "teach"]
html_theme = "alabaster"
html_theme_options = {"description": "Solvers with certificates", "page_width": "1000px"}
html_show_sphinx = False
autodoc_typehints = "none"
autodoc_default_options = {"members": False}
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
add_module_names = False
mathmpl_fontsize = 15.0
mathmpl_srcset = ["2x"]
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "/plot_",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "only_warn_on_example_error": False,
    "abort_on_example_error": True,
}

FAMILIES = {
    "transport": "Optimal transport",
    "sparse": "Sparse models and block coordinate descent",
    "monotone": "Fixed points and monotone inclusions",
    "linear": "Linear programs",
    "lowrank": "Low-rank recovery",
    "bilevel": "Bilevel optimisation",
    "constrained": "Constrained and smooth problems",
    "general": "Methods for several families",
}
FRONT = [
    ("minimize", "verify", "path", "steps", "methods", "as_scipy_method", "check_derivatives"),
    ("fit_rate", "RateFit", "Rate", "Certificate", "Status", "Trace", "Result", "Path", "Step"),
    ("Problem", "Method", "State", "Start", "option", "register", "registry"),
]


def entry(name, home):
    """The directive that documents one public object."""
    thing = getattr(import_module(home), name, None)
    if inspect.isclass(thing):
        return f".. autoclass:: {home}.{name}\n"
    if inspect.isfunction(thing):
        return f".. autofunction:: {home}.{name}\n"
    return f".. automodule:: {home}\n   :members:\n"


def page(title, entries):
    return f"{title}\n{'=' * len(title)}\n\n" + "\n".join(entries)


def write_api(app):
    """Write one page a family; a new file of problems/ or solvers/ appears by itself."""
    folder = HERE / "api"
    folder.mkdir(exist_ok=True)
    front = [entry(name, _lazy._TABLE[name]) for names in FRONT for name in names]
    pages = {"front": page("The front door", front)}
    found = {}
    for name, home in sorted(_lazy.discovered().items()):
        family = home.split(".")[2]
        found.setdefault(family if family in FAMILIES else "constrained", []).append((name, home))
    for family, title in FAMILIES.items():
        if family in found:
            pages[family] = page(title, [entry(*pair) for pair in found[family]])
    prox = [".. automodule:: fejer.numerics.prox\n   :members:\n"]
    pages["prox"] = page("Proximal maps", prox)
    toc = "\n   ".join(pages)
    pages["index"] = page("API", [f".. toctree::\n\n   {toc}\n"])
    for name, text in pages.items():
        file = folder / f"{name}.rst"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def setup(app):
    from matplotlib.sphinxext import mathmpl

    # the ordinary names, too: Sphinx would ask for MathJax, which is not there without network
    app.add_directive("math", mathmpl.MathDirective, override=True)
    app.add_role("math", mathmpl.math_role, override=True)
    app.connect("builder-inited", write_api)
