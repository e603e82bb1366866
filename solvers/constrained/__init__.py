"""Methods of the family: equality-constrained and second-order optimization."""
