"""From a YAML text to a spec: positions, merging, sweeps, and what is wrong in plain words."""
