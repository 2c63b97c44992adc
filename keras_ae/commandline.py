"""How commands are declared and run: options, errors of one line, Ctrl-C, a quiet start of TensorFlow.

A command is a module of `keras_ae` with a function `main` under `command(*options)`; its docstring is the description.
"""

import argparse
import contextlib
import itertools
import logging
import os
import re
import signal
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from keras_ae.errors import UserError, first_line, one_line
from keras_ae.files import check_output
from keras_ae.images import pictures

# status of a process whose output nobody reads any more, as shells report it: 128 and the number of SIGPIPE
UNREAD = 141
# TensorFlow leaves oneDNN off on processors without AVX-512, at half the speed, and takes the whole memory of each GPU
TENSORFLOW = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
# of setup.cfg, by the names under which their packages are imported; others are of the extra train
EXTRAS = dict.fromkeys(("sklearn", "scipy", "joblib"), "folders") | {"av": "video", "huggingface_hub": "hub", "optuna": "tune"}


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line on stderr and exit status 2."""

    def error(self, message):
        """Exit with one line."""
        self.exit(2, f"{self.prog}: error: {one_line(message)}\n")


def number(least, most, kind=float):
    """An argparse type: a number, or with `kind=int` a whole number, from `least` to `most`."""

    def parse(text):
        with contextlib.suppress(ValueError):
            if least <= (value := kind(text)) <= most:
                return value
        word = "whole number" if kind is int else "number"
        raise argparse.ArgumentTypeError(f"must be a {word} from {least:,} to {most:,}. Received: {text}")

    return parse


def option(*flags, **settings):
    """An option or argument of a command: what `ArgumentParser.add_argument` takes; the default is appended to the help."""
    if settings.get("default") not in (None, [], ""):
        settings["help"] += " (default: %(default)s)"
    return flags, settings


def out(default, text):
    """The option --out. default: a file or folder, or None where the command chooses one. text: what is written."""
    return option("--out", default=default, metavar="PATH", help=text)


def picture_options(most=None, text="picture files of any size and mode", data="folder of picture files"):
    """The options that name the files to read, PICTURE... or --data, with --n, up to `most`, where a command takes some."""
    options = [option("pictures", nargs="*", metavar="PICTURE", help=text), option("--data", metavar="DIR", help=data)]
    if most:
        options.append(option("--n", type=number(1, most, int), default=16, help="how many files to choose from --data"))
    return options


MODEL = option(
    "--model", metavar="DIR", help="folder of an export, or hf://NAME/MODEL (default: exported/vae, else the shipped cats)"
)
SEED = option("--seed", type=number(0, 2**31 - 1, int), default=0, help="seed of everything random")
FORCE = option("--force", action="store_true", help="replace what is at --out, even if it is not from keras_ae")
LABEL = option("--label", metavar="CLASS", help="class of a conditional model, by name or number")
RUNTIME = option("--runtime", choices=("auto", "onnx", "tensorflow"), default="auto", help="auto is onnx where --model has it")
SECONDS = option("--seconds", type=number(0.1, 3600), help="length of a film (default: 2 for each picture on the way)")
# of commands that use one export
EXPORT = (MODEL, LABEL, RUNTIME, SEED, FORCE)
# of commands that compare pictures, and need no export
CODES = (option("--model", default="", metavar="DIR", help="compare codes of this export (default: no model)"), LABEL, RUNTIME)


def command(*options, prog=None, keras=True):
    """Declare a command: the decorated `body(arguments)` becomes `main(argv=None)`, see `run`; `main.parser()` is its parser.

    It runs at once where its module is the program, as with python -m, and so stands last in it. prog: how it is called, if not
    as a module of `keras_ae`. keras: whether it needs Keras, unless it has the option --runtime.
    """

    def declare(body):
        def parser():
            verb = Path(body.__code__.co_filename).stem
            called = "keras-ae " if Path(sys.argv[0]).stem == "keras-ae" else "python -m keras_ae."
            made = Parser(prog or called + verb, description=body.__globals__["__doc__"])
            for flags, settings in options:
                made.add_argument(*flags, **settings)
            return made

        def main(argv=None):
            run(parser(), body, argv, keras)

        main.parser = parser
        if body.__module__ == "__main__":
            sys.exit(main())
        return main

    return declare


def check_out(arguments, suffixes=()):
    """--out as a Path that may be written, see `files.check_output`. Raises UserError also if it contains what is read."""
    path = check_output(arguments.out, arguments.force, suffixes)
    given = [value if isinstance(value, list) else [value] for name, value in vars(arguments).items() if name != "out"]
    for value in itertools.chain(*given):
        if isinstance(value, str) and os.path.exists(value) and Path(value).resolve().is_relative_to(path.resolve()):
            raise UserError(f"--out {arguments.out} contains {value}, which is read; choose another --out")
    return path


def find_model(names=("vae", "cats")):
    """The export that users train first, else the shipped one: of the repository, or that in the package."""
    places = [*(f"exported/{name}" for name in names), str(Path(__file__).parent / "cats")]
    return next((place for place in places if Path(place).is_dir()), "exported/cats")


def open_model(arguments, task=None):
    """The export that --model, --label and --runtime name, an `Exported`. UserError if it was trained for another `task`."""
    from keras_ae import load

    with native_lines_hidden():
        model = load(arguments.model, arguments.label, arguments.runtime)
    if task and model.task != task:
        raise UserError(f"{model.folder} was trained for the task '{model.task}', not '{task}'; choose another --model")
    return model


def read_batches(model, paths, directory=None, batch=1024):
    """Batches of the picture files that can be read: their paths, uint8 images (n, h, w, C), class numbers (n,) or None.

    directory: the folder whose sub-folders name the classes for a conditional model. The other files are reported on stderr.
    Raises UserError if no file can be read.
    """
    labels = model.labels_of(paths, directory)
    shown = tqdm(paths, unit="file", disable=None, leave=False)
    readable = pictures.read_each(shown, model.input_shape, warn, model.white, model.fit)
    while block := list(itertools.islice(readable, batch)):
        indices, images = zip(*block, strict=True)
        yield [paths[index] for index in indices], np.stack(images), None if labels is None else labels[list(indices)]


def read_pictures(model, arguments):
    """All picture files that the command line names, as one batch of `read_batches`."""
    paths = pictures.choose(arguments.pictures, arguments.data, arguments.n, arguments.seed)
    (batch,) = read_batches(model, paths, arguments.data, len(paths))
    return batch


def read_folder(model, directory):
    """Every picture file of a folder that can be read, uint8 (n, h, w, C)."""
    return np.concatenate([images for _, images, _ in read_batches(model, pictures.find(directory))])


def read_looks(model, paths, directory):
    """The picture files that can be read, and what they are compared by, float32 (n, d): codes, or looks without a model.

    directory: see `read_batches` and `data.index`.
    """
    if model is None:
        from keras_ae.data import index

        paths, entries = index.read(paths, directory, warn)
        return paths, entries["look"].astype("float32")
    files, codes = zip(*((here, model.encode(*batch)) for here, *batch in read_batches(model, paths, directory)), strict=True)
    return list(itertools.chain(*files)), np.concatenate(codes)


def write_film(model, path, codes, columns=1):
    """Decode codes (n, cells, latent_dim), of which the last equal the first, to a film of 30 grids of `columns` a second."""

    def draw():
        for first in tqdm(range(0, len(codes) - 1, 32), "decoding", unit="batch", disable=None, leave=False):
            block = codes[:-1][first : first + 32]
            for cells in np.split(pictures.to_uint8(model.decode(np.concatenate(block))), len(block)):
                yield pictures.grid(cells, columns)

    frames = draw()
    first = next(frames)
    # the last frame is the first to the bit, whatever a runtime rounds
    pictures.write(path, itertools.chain([first], frames, [first]), milliseconds=1000 / 30)


def warn(text):
    """Print a warning on stderr, above a progress bar if there is one."""
    tqdm.write(f"warning: {one_line(text)}", file=sys.stderr)


@contextlib.contextmanager
def native_lines_hidden():
    """Leave out what native code, such as TensorFlow's, prints on stderr."""
    sys.stderr.flush()
    shown = os.dup(2)
    with open(os.devnull, "w") as hidden:
        os.dup2(hidden.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(shown, 2)
        os.close(shown)


def import_tensorflow():
    """Import TensorFlow without the lines that it prints at its start; returns it. For programs, not for the library."""
    os.environ.update(TENSORFLOW | dict(os.environ))
    with native_lines_hidden():
        import tensorflow
    return tensorflow


def _explain(error, parser):
    """Exit status and message for an exception that a user can understand without a traceback; None for others."""

    # messages of the library name arguments as `label`: they become options of the parser
    def flag(match):
        option = "--" + match[1].replace("_", "-")
        return option if re.search(rf"{option}\b", parser.format_usage()) else match[0]

    # such as a full disk under TensorBoard's logs or a SavedModel
    tensorflow_error = sys.modules["tensorflow"].errors.OpError if "tensorflow" in sys.modules else ()
    match error:
        case KeyboardInterrupt():
            return 130, str(error) or "interrupted"
        case UserError():
            return 2, "error: " + re.sub(r"`(\w+)`", flag, str(error))
        case OSError():
            return 2, f"error: {error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        case UnicodeError():
            return 2, f"error: {error}; choose a name of plain letters"
        case MemoryError():
            return 2, "error: not enough memory; use fewer or smaller images, or a smaller model or batch"
        case ModuleNotFoundError() if not (error.name or "keras_ae").startswith("keras_ae"):
            missing = error.name.partition(".")[0]
            extra = EXTRAS.get(missing, "train")
            return 2, f"error: this needs the package {missing}, which is not installed; pip install 'keras_ae[{extra}]'"
        case _ if isinstance(error, tensorflow_error):
            return 2, f"error: {first_line(error)}"


def _prepare_process(arguments, keras):
    """What a command may do with its process, and a library may not. keras: see `command`."""
    for stream in (sys.stdout, sys.stderr):
        # names of files need not be text
        stream.reconfigure(errors="backslashreplace")
    # this process alone computes with TensorFlow, whatever Keras is set to elsewhere
    os.environ["KERAS_BACKEND"] = "tensorflow"
    for limit in ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH"):
        os.environ.pop(limit, None)
    if "runtime" in arguments or not keras:
        # TensorFlow leaves Keras out: a third of its start, and exports do not need it
        os.environ.update(TENSORFLOW | {"TF_USE_LEGACY_KERAS": "1"} | dict(os.environ))
    else:
        import_tensorflow()
        import keras

        keras.config.set_floatx("float32")
        keras.config.set_image_data_format("channels_last")


def run(parser, body, argv=None, keras=True):
    """Parse the command line, run `body(arguments)`, and exit: 0, 2 with one line for a user's mistake, 130 after Ctrl-C.

    With `argv`, the process stays as it is: no environment variable and no handler of a signal changes.
    """
    signals = (signal.SIGINT, signal.SIGTERM) if argv is None else ()
    interrupted = []

    def interrupt(number, frame):
        interrupted.append(number)
        # TensorFlow reports objects that an interruption leaves unused
        logging.getLogger("tensorflow").setLevel(logging.CRITICAL + 1)
        raise KeyboardInterrupt

    for number in signals:
        signal.signal(number, interrupt)
    try:
        try:
            arguments = parser.parse_args(argv)
            for name, value in vars(arguments).items():
                # shells leave the ~ of --out=~/x
                if isinstance(value, str) and value.startswith("~"):
                    setattr(arguments, name, os.path.expanduser(value))
            if getattr(arguments, "model", "") is None:
                arguments.model = find_model()
            if argv is None:
                _prepare_process(arguments, keras)
            body(arguments)
        finally:
            # nothing is left to be interrupted
            for number in signals:
                signal.signal(number, signal.SIG_IGN)
            # also what --help has printed
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(UNREAD)
    except (Exception, KeyboardInterrupt) as error:
        # libraries replace the interruption of an import or of a graph by errors of their own
        explained = _explain(KeyboardInterrupt() if interrupted and not isinstance(error, KeyboardInterrupt) else error, parser)
        if explained is None:
            raise
        status, message = explained
        # above a progress bar, if there is one
        tqdm.write(f"{parser.prog}: {one_line(message)}", file=sys.stderr)
        sys.exit(status)
