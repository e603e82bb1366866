"""Named generators of the papers and real data sets, one file per family."""
