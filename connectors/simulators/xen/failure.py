"""How a call to the simulated xapi fails."""


class Failure(Exception):
    """An error code of XenAPI with its parameters, all strings, as clients see it."""

    def __init__(self, code: str, *parameters: str) -> None:
        super().__init__(code, *parameters)
        self.code = code
        self.parameters = parameters
