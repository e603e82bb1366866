"""``python -m fejer.benchmarks.claims``."""

import sys

from fejer.benchmarks.claims import main

if __name__ == "__main__":
    sys.exit(main())
