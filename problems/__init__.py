"""Problem classes, one file each: data, certificate, views, generator."""

# Imported under a second name, every class and every registration would exist twice.
if __name__ != "fejer.problems":
    raise ImportError(f"{__name__}: this folder is the package fejer.problems")
