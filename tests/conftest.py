"""Fixtures that several rooms' tests share."""

from cli_sample import cli, project

__all__ = ["cli", "project"]
