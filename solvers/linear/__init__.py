"""Methods of the family: linear programming."""
