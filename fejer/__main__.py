"""``python -m fejer``: the command line of `fejer.cli`."""

from fejer.cli import main

raise SystemExit(main())
