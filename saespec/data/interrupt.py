"""What long work on data raises when it was asked to stop."""


class Interrupted(Exception):
    """It was asked to stop; what is done is saved."""
