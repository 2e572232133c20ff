"""Drives a plan through DVC on this machine."""
