"""Methods of the family: bilevel optimization."""
