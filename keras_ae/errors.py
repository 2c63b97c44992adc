"""The one exception for mistakes that a user can fix, and the line of other exceptions that says what happened."""

import contextlib
import re

# lines that TensorFlow and Keras write around the reason of an error, and the colours that they write it in
AROUND = ("Graph execution error", "Detected at node", "Exception encountered when calling", "File ", "<stack", "[[{{")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class UserError(ValueError):
    """A mistake at the edge (command line, experiment file, folder). Its text is one line: what was received, what would work.

    Commands print it without a traceback and exit with status 2.
    """


def first_line(error):
    """The first line of an exception's text that says something, at most 200 characters; else the name of its type."""
    lines = (line.strip() for line in COLOUR.sub("", getattr(error, "message", None) or str(error)).splitlines())
    line = next((line for line in lines if line and not line.startswith(AROUND)), type(error).__name__)
    return line if len(line) <= 200 else f"{line[:120]} ... {line[-75:]}"


def one_line(text):
    """A message with its line breaks and other control characters, such as those of a file name, as escapes."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in str(text))


def check_backend():
    """Import Keras. Raises UserError if it is set to compute with something else than TensorFlow."""
    try:
        import keras

        found = keras.config.backend()
    except ImportError as error:
        if (error.name or "keras").partition(".")[0] in ("keras", "tensorflow"):
            raise
        # of the backend that is chosen
        found = error.name
    if found != "tensorflow":
        raise UserError(
            f"keras_ae needs Keras on TensorFlow. Received: {found}, from KERAS_BACKEND or keras.json; set "
            'os.environ["KERAS_BACKEND"] = "tensorflow" before keras is imported'
        )


@contextlib.contextmanager
def explain(what, *kinds):
    """Turn errors of these kinds inside the block into a UserError of one line, which begins with `what`."""
    try:
        yield
    except UserError:
        raise
    except kinds as error:
        raise UserError(f"{what}: {first_line(error)}") from error
