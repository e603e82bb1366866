"""Mathematics that problems and solvers share: matrices, proximal operators, kernels."""
