"""`python -m saespec`: the same as the `saespec` command."""

import sys

from saespec.cli import main

sys.exit(main())
