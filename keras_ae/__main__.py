"""List the commands, or run one: python -m keras_ae, or keras-ae"""

import ast
import importlib
import sys
from pathlib import Path

from keras_ae import commandline


def commands():
    """{name: its line} of the commands, from the docstrings of the modules beside this one; nothing is imported."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        line, _, call = docstring.partition("\n")[0].partition(": ")
        if call.startswith(f"python -m keras_ae.{path.stem}"):
            found[path.stem] = line
    return found


def main(argv=None):
    """Without arguments print the list of commands; with the name of one, run it."""
    words, known = sys.argv[1:] if argv is None else argv, commands()
    if words and words[0] in known:
        if argv is None:
            # the command ends the process, as with python -m keras_ae.COMMAND
            del sys.argv[1]
        importlib.import_module(f"keras_ae.{words[0]}").main(None if argv is None else words[1:])
        return
    called = "keras-ae" if Path(sys.argv[0]).stem == "keras-ae" else "python -m keras_ae"
    lines = "\n".join(f"  {name:<12} {line}" for name, line in known.items())
    usage = f"{called} COMMAND [--help]\n\n{lines}"
    parser = commandline.Parser(called, usage=usage)
    parser.add_argument("command", nargs="?", choices=known, help="the command to run")
    commandline.run(parser, lambda _: print(parser.format_usage(), end=""), words)


if __name__ == "__main__":
    main()
