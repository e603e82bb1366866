"""Problems of the family: fixed points, monotone inclusions and games."""
