"""What all commands share: quiet start, one-line errors, option types."""

import argparse
import os
import sys
import tempfile

from keras_ae.errors import UserError

MODEL = "exported/cats"


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Tells a default where there is one."""

    def _get_help_string(self, action):
        there_is_none = action.default is None or action.default is False or action.default == []
        return action.help if there_is_none else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line on stderr and exit status 2."""

    def __init__(self, verb, description, **kwargs):
        super().__init__(f"python -m keras_ae.{verb}", description=description, formatter_class=_Formatter, **kwargs)

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


def whole_number(least, most):
    """An argparse type: a whole number from `least` to `most`."""

    def parse(text):
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most:,}. Received: {text}")
        return value

    return parse


def number(least, most):
    """An argparse type: a number from `least` to `most`."""

    def parse(text):
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be a number from {least:g} to {most:g}. Received: {text}")
        return value

    return parse


SEED = whole_number(0, 2**31 - 1)


def add_common(parser, out, out_help, model=MODEL, model_help="folder of an export"):
    """The options that every command has: --model, --out, --seed."""
    parser.add_argument("--model", default=model, metavar="DIR", help=model_help)
    parser.add_argument("--out", default=out, metavar="PATH", help=out_help)
    parser.add_argument("--seed", type=SEED, default=0, help="seed of everything random")


def add_label(parser, default=None):
    """The option of commands that work with conditional models."""
    told = "class, by name or number, for a conditional model"
    parser.add_argument("--label", metavar="CLASS", help=told + (f" (default: {default})" if default else ""))


def import_tensorflow():
    """Import TensorFlow without its start-up lines; they appear after all if the import fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            import tensorflow
        except BaseException:
            hidden.seek(0)
            os.write(shown, hidden.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)
    return tensorflow


def run(parser, body, argv=None):
    """Parse the command line, run `body(arguments)`, and exit: 0, 2 with one line for a user's mistake, 130 after Ctrl-C."""
    arguments = parser.parse_args(argv)
    tensorflow = import_tensorflow()
    try:
        body(arguments)
    except UserError as error:
        status, told = 2, f"error: {error}"
    except OSError as error:
        status, told = 2, f"error: {error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    except tensorflow.errors.OpError as error:
        # such as a full disk under TensorBoard's logs or a SavedModel
        status, told = 2, f"error: {str(error.message).splitlines()[0]}"
    except KeyboardInterrupt:
        status, told = 130, "interrupted"
    else:
        return
    print(f"{parser.prog}: {told}", file=sys.stderr)
    sys.exit(status)
