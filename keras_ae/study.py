"""Draw and measure one experiment of the course from exports: python -m keras_ae.study plane --compare exported/vae_2d_dense"""

import importlib
import json
from pathlib import Path

from keras_ae import commandline
from keras_ae.studies import STUDIES

# bytes
HEAVY = 300_000


def parser():
    parser = commandline.Parser("study", "Draw and measure one experiment of the course: NAME.json and pictures in --out.")
    parser.add_argument("name", choices=sorted(STUDIES), metavar="NAME", help=f"one of {', '.join(STUDIES)}")
    commandline.add_common(parser, "studies", "folder to write into")
    parser.add_argument(
        "--compare", nargs="+", metavar="DIR", default=[], help="exports to put side by side, instead of --model"
    )
    parser.add_argument(
        "--data", metavar="DIR", help="folder of pictures, or tensorflow-datasets folder (default: as trained on)"
    )
    return parser


def told(numbers, depth=1):
    """Numbers as indented lines; long lists are left to the file."""
    for name, value in numbers.items():
        if isinstance(value, dict):
            yield "  " * depth + str(name)
            yield from told(value, depth + 1)
        elif not isinstance(value, list) or len(value) <= 12:
            values = value if isinstance(value, list) else [value]
            text = " ".join(f"{one:.4g}" if isinstance(one, float) else str(one) for one in values)
            yield "  " * depth + f"{name}: {text}"


def lighten(folder):
    """Pictures too heavy for a page are made smaller; their colours stay."""
    from PIL import Image

    from keras_ae.files import written_whole

    for path in sorted(folder.glob("*.png")):
        scale = 1.0
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        while path.stat().st_size > HEAVY:
            scale *= 0.9
            size = [round(scale * side) for side in picture.size]
            with written_whole(path) as partial:
                picture.resize(size, Image.Resampling.LANCZOS).save(partial, format="png", optimize=True)


def study(arguments):
    from keras_ae import evaluate
    from keras_ae.errors import UserError
    from keras_ae.exports.reading import Exported
    from keras_ae.files import written_whole
    from keras_ae.training import runs

    folders = arguments.compare or [arguments.model]
    models = {name: Exported(folder) for name, folder in evaluate.named(folders).items()}
    pictures = evaluate.load_pictures(models, arguments.data)
    function = getattr(importlib.import_module(f"keras_ae.studies.{STUDIES[arguments.name]}"), arguments.name)
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    try:
        numbers = function(models, pictures, arguments.seed, out)
    except ImportError as error:
        raise UserError(f"this study needs {error.name}: pip install 'keras_ae[test]'") from None
    lighten(out)
    protocol = {"data": pictures.name, "n_held_out": pictures.n_test, "seed": arguments.seed, "versions": runs.versions()}
    with written_whole(out / f"{arguments.name}.json") as path:
        path.write_text(json.dumps({"study": arguments.name, "exports": list(models), **protocol, **numbers}, indent=2) + "\n")
    print(f"{arguments.name} of {', '.join(models)} on {pictures.name} -> {out / arguments.name}.json")
    print("\n".join(told(numbers)))


def main(argv=None):
    commandline.run(parser(), study, argv)


if __name__ == "__main__":
    main()
