"""The one exception for mistakes that a user can fix."""


class UserError(Exception):
    """A mistake at the edge (command line, experiment file, folder). Its text is one line: what was received, what would work.

    Commands print it without a traceback and exit with status 2.
    """
