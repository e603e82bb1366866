"""Mathematics that problems and methods share: kernels, matrices, proximal operators, searches.

Nothing is imported here, so that one module costs only what it needs itself.
"""
