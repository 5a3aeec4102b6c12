"""How a command ends early."""


class CommandEnded(Exception):  # noqa: N818 - it was said already
    """
    Ends a command of which all has been said.

    Attributes:
        code: What the process exits with.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
