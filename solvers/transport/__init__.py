"""Methods of the family: optimal transport."""
