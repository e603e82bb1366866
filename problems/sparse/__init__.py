"""Problems of the family: structured sparsity and block coordinate descent."""
