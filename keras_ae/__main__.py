"""List the commands, or run one: python -m keras_ae, or keras-ae"""

import ast
import importlib
import sys
from pathlib import Path

from keras_ae import ending

FOLDER = Path(__file__).parent


def commands(pattern="*"):
    """{name: its line} of the commands so named, from the docstrings of the modules beside this one; nothing is imported."""
    docstrings = {
        path.stem: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        for path in sorted(FOLDER.glob(f"{pattern}.py"))
    }
    lines = {name: text.partition("\n")[0] for name, text in docstrings.items()}
    return {name: line.partition(":")[0] for name, line in lines.items() if f"python -m keras_ae.{name}" in line}


def listing(known):
    """The text that `python -m keras_ae` prints."""
    width = max(map(len, known))
    rows = [f"  {name:<{width}}  {line}" for name, line in known.items()]
    return "\n".join(["usage: python -m keras_ae.COMMAND [--help], or keras-ae COMMAND [--help]", "", *rows])


def main(argv=None):
    """Without arguments print the list of commands; with the name of one, run it."""
    words = sys.argv[1:] if argv is None else argv
    prog = "keras-ae" if Path(sys.argv[0]).stem == "keras-ae" else "python -m keras_ae"
    if not words or words[0] in ("-h", "--help"):
        try:
            with ending.when_unread():
                print(listing(commands()))
        except OSError as error:
            print(f"{prog}: error: {error.strerror}", file=sys.stderr)
            sys.exit(2)
    # one file is read, not all: --help stays quick
    elif words[0].isidentifier() and words[0] in commands(words[0]):
        if argv is None:
            # the command ends the process, as with python -m keras_ae.COMMAND
            del sys.argv[1]
        importlib.import_module(f"keras_ae.{words[0]}").main(None if argv is None else words[1:])
    else:
        print(f"{prog}: error: unknown command '{words[0]}'; choose one of {', '.join(commands())}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
