"""Problems of the family: bilevel optimization."""
