"""Problems of the family: optimal transport."""
