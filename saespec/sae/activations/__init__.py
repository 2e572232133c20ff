"""The nonlinearities, one a file."""
