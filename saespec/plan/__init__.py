"""From a spec to what runs: cells, groups, stages, `dvc.yaml`; what is stale and why; what it costs."""
