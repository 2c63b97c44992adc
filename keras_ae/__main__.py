"""List the commands: python -m keras_ae"""

import ast
import importlib
import sys
from pathlib import Path


def commands():
    """{name: its line} of every command, from the docstrings of the modules beside this one; nothing is imported."""
    docstrings = {
        path.stem: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        for path in sorted(Path(__file__).parent.glob("*.py"))
    }
    lines = {name: text.partition("\n")[0] for name, text in docstrings.items()}
    return {name: line.partition(":")[0] for name, line in lines.items() if f"python -m keras_ae.{name}" in line}


def listing(known):
    """The text that `python -m keras_ae` prints."""
    width = max(map(len, known))
    rows = [f"  {name:<{width}}  {line}" for name, line in known.items()]
    return "\n".join(["usage: python -m keras_ae.COMMAND [--help]", "", *rows])


def main(argv=None):
    """Without arguments print the list of commands; with the name of one, run it."""
    argv = sys.argv[1:] if argv is None else argv
    known = commands()
    if not argv or argv[0] in ("-h", "--help"):
        print(listing(known))
    elif argv[0] in known:
        importlib.import_module(f"keras_ae.{argv[0]}").main(argv[1:])
    else:
        print(f"python -m keras_ae: error: unknown command '{argv[0]}'; choose one of {', '.join(known)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
