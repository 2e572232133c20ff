"""How fast saespec is, measured beside others: `python -m benchmarks --help`."""
