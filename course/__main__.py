"""Draw and measure a study of the course on exports: python -m course plane --compare exported/vae_2d_dense"""

import importlib
import json

from keras_ae import files
from keras_ae.commandline import FORCE, MODEL, SEED, check_out, command, option, out, warn
from keras_ae.errors import UserError

# {name: (module of its function, what it shows)}; the function draws NAME*.png into a folder and returns numbers
STUDIES = {
    "sampling": ("codes", "codes as images, and images decoded from random codes and from codes of the fitted prior"),
    "latent_map": ("codes", "held-out codes on the plane of their first two principal components, coloured by class"),
    "code_noise": ("codes", "images decoded from codes with noise, and the reconstruction error by its strength"),
    "denoising": ("restoring", "noisy, denoised and clean images, beside total variation and non-local means"),
    "upscaling": ("restoring", "small images, bicubic interpolation, the model and the originals; noise as input"),
    "plane": ("codes", "the plane of codes of two numbers, and the negative ELBO of held-out images"),
    "labels": ("comparing", "a class in each row, a code in each column, and how often a classifier recognizes the class"),
    "priors": ("comparing", "samples from N(0, I) and from the fitted prior of each model"),
    "densities": ("comparing", "N(0, I), Gaussian mixtures and a flow fitted to the same codes, and what each draws"),
    "sizes": ("comparing", "autoencoders of several latent sizes, each beside PCA with as many numbers"),
    "neighbours": ("codes", "classes predicted by the nearest training images: in codes, in PCA scores, in pixels"),
    "clusters": ("codes", "clusters of codes, and interpolations from one cluster to the next"),
    "attributes": ("editing", "drawn cats edited along each of their factors, and how far every factor moves"),
    "edits": ("editing", "held-out images edited along each property of pixels, and how far every property moves"),
    "disentanglement": ("disentanglement", "traversals, and whether each factor of drawn cats has a number of its own"),
    "melodies": ("music", "melodies rebuilt, sampled and interpolated, as piano rolls and MIDI files"),
}


def lines_of(numbers, depth=1):
    """Numbers as indented lines of text, without lists of more than 12."""
    for name, value in numbers.items():
        if isinstance(value, dict):
            yield "  " * depth + str(name)
            yield from lines_of(value, depth + 1)
        elif not isinstance(value, list) or len(value) <= 12:
            values = value if isinstance(value, list) else [value]
            text = " ".join(f"{one:.4g}" if isinstance(one, float) else str(one) for one in values)
            yield "  " * depth + f"{name}: {text}"


@command(
    option("name", choices=STUDIES, metavar="NAME", help="; ".join(f"{name}: {text}" for name, (_, text) in STUDIES.items())),
    out(None, "folder to write: NAME.json and pictures (default: studies/NAME)"),
    option("--compare", nargs="+", metavar="DIR", default=[], help="exports to compare, instead of --model"),
    option("--data", metavar="DIR", help="folder of picture files, or tensorflow-datasets folder (default: as trained on)"),
    *(MODEL, SEED, FORCE),
    prog="python -m course",
)
def main(arguments):
    """Run the study that the command line names, and print its numbers."""
    import keras_ae
    from keras_ae.judge import judge

    name = arguments.name
    try:
        run = getattr(importlib.import_module(f"course.{STUDIES[name][0]}"), name)
    except ImportError as error:
        raise UserError(f"this study needs {error.name}: pip install 'keras_ae[course]'") from None
    arguments.out = arguments.out or f"studies/{name}"
    path = check_out(arguments)
    folders = judge.name_folders(arguments.compare or [arguments.model])
    models = {model: keras_ae.load(folder) for model, folder in folders.items()}
    image_set = judge.load_images(models, arguments.data)
    protocol = {"study": name, "exports": list(models), "data": image_set.name, "n_held_out": image_set.n_test}
    protocol |= {"seed": arguments.seed, "versions": files.versions()}
    with files.write_folder(path, arguments.force) as folder:
        numbers = run(models, image_set, arguments.seed, folder)
        (folder / f"{name}.json").write_text(json.dumps(protocol | numbers, indent=2) + "\n", encoding="utf-8")
    # without --data, the images are those of the first model, or the study draws its own
    for line in judge.warn_of_other_data(models, image_set) if arguments.data else ():
        warn(line)
    print(f"{name} of {', '.join(models)} on {image_set.name} -> {path / name}.json")
    print("\n".join(lines_of(numbers)))
