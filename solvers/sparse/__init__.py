"""Methods of the family: structured sparsity and block coordinate descent."""
