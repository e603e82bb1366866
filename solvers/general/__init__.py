"""Methods that treat several families."""
