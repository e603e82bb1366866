"""Problems of the family: linear programming."""
