"""What each `saespec stage …` command does: takes its slice of the plan, calls the rooms below, writes."""
