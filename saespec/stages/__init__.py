"""What each `saespec stage …` command does: takes its slice of the plan, calls the rooms below, writes."""

import os

# Threads that wait for each other spin by default, as if the machine were theirs alone: beside two other busy
# processes on two cores a step then takes ten times longer (measured). Read when torch is first imported.
os.environ.setdefault("GOMP_SPINCOUNT", "300")
