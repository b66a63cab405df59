"""What makes a command end early."""


class CommandError(Exception):
    """What went wrong, in one line for standard error; the exit status is 1, or 2 if the call was wrong."""

    def __init__(self, message: str, *, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
