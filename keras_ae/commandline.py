"""What all commands share: options and their types, the default model, a quiet start, errors of one line."""

import argparse
import contextlib
import logging
import os
import sys
import tempfile
from pathlib import Path

from keras_ae import ending
from keras_ae.errors import UserError, first_line, one_line

# the first model that a user trains, and the one that the repository ships
TRAINED, SHIPPED = "exported/vae", "exported/cats"


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Appends "(default: ...)" to the help of an option that has one."""

    def _get_help_string(self, action):
        has_none = action.default is None or action.default is False or action.default == []
        return action.help if has_none else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line on stderr and exit status 2."""

    def __init__(self, verb, description, **kwargs):
        started = "keras-ae " if Path(sys.argv[0]).stem == "keras-ae" else "python -m keras_ae."
        super().__init__(started + verb, description=description, formatter_class=_Formatter, **kwargs)

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {one_line(message)}\n")


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


def default_model():
    """The export of commands without --model: `exported/vae` where it exists, else `exported/cats`. UserError without both."""
    if found := [folder for folder in (TRAINED, SHIPPED) if Path(folder).is_dir()]:
        return found[0]
    advice = f"train one (keras-ae train vae; keras-ae export --model runs/vae), or copy {SHIPPED} from the repository"
    raise UserError(f"no --model given, and neither {TRAINED} nor {SHIPPED} is here; {advice}")


def add_common(parser, out, out_help, model=None, model_help="folder of an export"):
    """The options that every command has: --model, --out, --seed. Without `model`, `run` uses `default_model()`."""
    rule = "" if model else f" (default: {TRAINED} where it exists, else {SHIPPED})"
    parser.add_argument("--model", default=model, metavar="DIR", help=model_help + rule)
    parser.add_argument("--out", default=out, metavar="PATH", help=out_help)
    parser.add_argument("--seed", type=SEED, default=0, help="seed of everything random")


def run_parser(verb, description, out_help):
    """The Parser of a command on a finished run: the options of `add_common`, where --model is the run."""
    parser = Parser(verb, description)
    add_common(parser, None, out_help, "runs/vae", "run folder, or a folder of runs: its newest")
    return parser


def add_pictures(parser, most=None, pictures="picture or MIDI files (any size and mode)", data="folder of picture files"):
    """The options that name the files to read: PICTURE... or --data, with --n, up to `most`, where a command takes some.

    `images.pictures.chosen` reads them.
    """
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help=pictures)
    parser.add_argument("--data", metavar="DIR", help=data)
    if most:
        number_of = "how many files to choose from --data"
        parser.add_argument("--n", type=whole_number(1, most), default=16, help=number_of)


def add_label(parser, default=None):
    """The option --label of commands that work with conditional models."""
    text = "class, by name or number, for a conditional model"
    parser.add_argument("--label", metavar="CLASS", help=text + (f" (default: {default})" if default else ""))


def add_runtime(parser):
    """The option --runtime of commands on exports; they import TensorFlow only where it is chosen."""
    text = (
        "what computes: onnxruntime starts in a fraction of a second; auto is onnx where it is installed and --model has onnx/"
    )
    parser.add_argument("--runtime", choices=("auto", "onnx", "tensorflow"), default="auto", help=text)


def warn(text):
    """Print a warning on stderr, above a progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(f"warning: {one_line(text)}", file=sys.stderr)


@contextlib.contextmanager
def native_lines_hidden():
    """Leave out what native code, such as TensorFlow's, prints on stderr; it is printed after all if the block raises."""
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException:
            hidden.seek(0)
            os.write(shown, hidden.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)


@contextlib.contextmanager
def logged_lines_hidden():
    """Without what TensorFlow's logger says below a warning; in notebooks its level is INFO."""
    logger = logging.getLogger("tensorflow")
    before = logger.level
    logger.setLevel(max(before, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(before)


def import_tensorflow():
    """Import TensorFlow without the lines that it prints at its start.

    Ctrl-C meanwhile ends a command at once: an exception would break the import.
    """
    # TensorFlow leaves oneDNN off on processors without AVX-512, at half the speed, and takes the whole memory of each GPU
    wanted = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    os.environ.update(wanted | dict(os.environ))
    with native_lines_hidden(), ending.at_once():
        import tensorflow
    return tensorflow


def _choose_model(arguments):
    # --compare of `evaluate` and `study` replaces --model
    if getattr(arguments, "model", None) == "":
        raise UserError("--model must name a folder. Received: ''")
    if "model" in arguments and arguments.model is None and not getattr(arguments, "compare", None):
        arguments.model = default_model()
        print(f"model     {arguments.model} (no --model given)", file=sys.stderr)


@contextlib.contextmanager
def _without_keras():
    """TensorFlow leaves Keras out when it is imported inside: a third of its start, and exports do not need it."""
    name = "TF_USE_LEGACY_KERAS"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name) if before is None else os.environ.update({name: before})


def _run(parser, body, argv, started):
    arguments = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        # names of files need not be text
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    on_export = "runtime" in arguments
    if not on_export:
        import_tensorflow()
    started()
    _choose_model(arguments)
    with _without_keras() if on_export else contextlib.nullcontext():
        body(arguments)


def run(parser, body, argv=None):
    """Parse the command line, run `body(arguments)`, and exit: 0, 2 with one line for a user's mistake, 130 after Ctrl-C."""
    with ending.at_signals(parser.prog, argv is None) as started:
        try:
            with ending.when_unread():
                _run(parser, body, argv, started)
            return
        except UserError as error:
            status, message = 2, f"error: {error}"
        except OSError as error:
            status, message = 2, f"error: {error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        except MemoryError:
            status, message = 2, "error: not enough memory; use fewer or smaller images, or a smaller model or batch"
        except KeyboardInterrupt:
            status, message = 130, "interrupted"
        except ModuleNotFoundError as error:
            if (error.name or "keras_ae").startswith("keras_ae"):
                raise
            missing = error.name.partition(".")[0].replace("skimage", "scikit-image")
            status, message = 2, f"error: this needs the package {missing}, which is not installed; pip install {missing}"
        except Exception as error:
            tensorflow = sys.modules.get("tensorflow")
            if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
                raise
            # such as a full disk under TensorBoard's logs or a SavedModel
            status, message = 2, f"error: {first_line(error)}"
        print(f"{parser.prog}: {one_line(message)}", file=sys.stderr)
        sys.exit(status)
