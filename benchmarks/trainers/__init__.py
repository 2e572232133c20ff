"""One program a trainer: the same work, timed from inside, one line of JSON at the end.

The peers' programs run in environments of their own, so nothing here but `saespec_stack` imports saespec,
and `workload` needs only torch.
"""
