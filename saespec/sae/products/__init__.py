"""The matrix products of a step, a precision or a kind a file."""
