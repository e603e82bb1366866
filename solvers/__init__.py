"""Methods, one file each, by the family of the problems that they treat."""

# Imported under a second name, every class and every registration would exist twice.
if __name__ != "fejer.solvers":
    raise ImportError(f"{__name__}: this folder is the package fejer.solvers")
