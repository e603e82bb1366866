"""Problems of the family: low-rank matrices and factor models."""
