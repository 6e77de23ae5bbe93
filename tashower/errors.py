"""The one error that a user's input can cause."""


class InputError(ValueError):
    """Bad input: the message names the file, the key or the event. The command line turns it into
    exit status 2.
    """
