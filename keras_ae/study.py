"""Draw and measure one experiment of the course on exports: python -m keras_ae.study plane --compare exported/vae_2d_dense"""

import argparse
import ast
import importlib
import json
import pkgutil
from pathlib import Path

from keras_ae import commandline, studies

# bytes; pages of the course load pictures of up to this size quickly
HEAVY = 400_000
# numbers of a list that are printed
SHORT = 12


def found():
    """{name: description} of every module with a function `run` in `keras_ae.studies`, read without importing them."""
    descriptions = {}
    for module in pkgutil.iter_modules(studies.__path__):
        tree = ast.parse((Path(module.module_finder.path) / f"{module.name}.py").read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in tree.body):
            descriptions[module.name] = ast.get_docstring(tree)
    return descriptions


STUDIES = found()


class _Lists(commandline._Formatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the list of studies."""


def parser():
    parser = commandline.Parser("study", "Draw and measure one experiment of the course: NAME.json and pictures in --out.")
    width = max(map(len, STUDIES))
    parser.formatter_class = _Lists
    parser.epilog = "studies:\n" + "\n".join(f"  {name:<{width}}  {text.rstrip('.')}" for name, text in STUDIES.items())
    parser.add_argument("name", choices=list(STUDIES), metavar="NAME", help="a study of the list below")
    commandline.add_common(parser, "studies", "folder to write into")
    parser.add_argument("--compare", nargs="+", metavar="DIR", default=[], help="exports to compare, instead of --model")
    parser.add_argument(
        "--data", metavar="DIR", help="folder of picture files, or tensorflow-datasets folder (default: as trained on)"
    )
    return parser


def lines_of(numbers, depth=1):
    """Numbers as indented lines of text, without long lists."""
    for name, value in numbers.items():
        if isinstance(value, dict):
            yield "  " * depth + str(name)
            yield from lines_of(value, depth + 1)
        elif not isinstance(value, list) or len(value) <= SHORT:
            values = value if isinstance(value, list) else [value]
            text = " ".join(f"{one:.4g}" if isinstance(one, float) else str(one) for one in values)
            yield "  " * depth + f"{name}: {text}"


def study(arguments):
    from keras_ae import outputs
    from keras_ae.errors import UserError
    from keras_ae.exports.reading import Exported
    from keras_ae.judge import side_by_side
    from keras_ae.versions import versions

    try:
        run = importlib.import_module(f"keras_ae.studies.{arguments.name}").run
    except ImportError as error:
        raise UserError(f"this study needs {error.name}: pip install 'keras_ae[test]'") from None
    folders = side_by_side.named(arguments.compare or [arguments.model])
    models = {name: Exported(folder) for name, folder in folders.items()}
    image_set = side_by_side.load_images(models, arguments.data)
    out = outputs.check_place(arguments.out)
    for taken in sorted(out.glob(f"{arguments.name}*")):
        outputs.check_file(taken)
    protocol = {"data": image_set.name, "n_held_out": image_set.n_test, "seed": arguments.seed, "versions": versions()}
    with outputs.into(out) as partial:
        numbers = run(models, image_set, arguments.seed, partial)
        every = {"study": arguments.name, "exports": list(models), **protocol, **numbers}
        (partial / f"{arguments.name}.json").write_text(json.dumps(every, indent=2) + "\n", encoding="utf-8")
    for path in sorted(out.glob(f"{arguments.name}*.png")):
        if path.stat().st_size > HEAVY:
            commandline.warn(
                f"{path} has {path.stat().st_size / 1000:.0f} kB; pages load slowly with more than {HEAVY // 1000}"
            )
    # without --data, the images are those of the first model, or the study draws its own
    for line in side_by_side.trained_on_others(models, image_set) if arguments.data else ():
        commandline.warn(line)
    print(f"{arguments.name} of {', '.join(models)} on {image_set.name} -> {out / arguments.name}.json")
    print("\n".join(lines_of(numbers)))


def main(argv=None):
    commandline.run(parser(), study, argv)


if __name__ == "__main__":
    main()
