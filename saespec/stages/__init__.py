"""What each `saespec stage …` command does: takes its slice of the plan, calls the rooms below, writes."""

import os

# Threads that wait for each other spin by default, as if the machine were theirs alone: beside another busy
# process a step then takes up to 20 times longer (measured on two cores). Read when torch is first imported.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
