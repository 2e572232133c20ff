"""Documents, and documents as tokens."""
