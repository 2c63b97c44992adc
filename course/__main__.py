"""Draw and measure a study of the course on exports: python -m course plane --compare exported/vae_2d_dense"""

import importlib
import json

from keras_ae.commandline import MODEL, SEED, command, option, out, warn

# what each study shows; `run(models, image_set, seed, folder)` in the module of that name draws NAME*.png and returns numbers
STUDIES = {
    "sampling": "codes as images, and images decoded from random codes and from codes of the fitted prior",
    "latent_map": "held-out codes on the plane of their first two principal components, coloured by class",
    "code_noise": "images decoded from codes with noise, and the reconstruction error by its strength",
    "denoising": "noisy, denoised and clean images, beside total variation and non-local means",
    "upscaling": "small images, bicubic interpolation, the model and the originals; noise as input",
    "plane": "the plane of codes of two numbers, and the negative ELBO of held-out images",
    "labels": "a class in each row, a code in each column, and how often a classifier recognizes the class",
    "priors": "samples from N(0, I) and from the fitted prior of each model",
    "sizes": "autoencoders of several latent sizes, each beside PCA with as many numbers",
    "neighbours": "classes predicted by the nearest training images: in codes, in PCA scores, in pixels",
    "clusters": "clusters of codes, and interpolations from one cluster to the next",
    "attributes": "drawn cats edited along each of their factors, and how far every factor moves",
    "edits": "held-out images edited along each property of pixels, and how far every property moves",
    "disentanglement": "traversals of single numbers, and whether each factor of drawn cats has a number of its own",
    "densities": "N(0, I), Gaussian mixtures and a flow fitted to the same codes, and what each draws",
    "melodies": "melodies rebuilt, sampled and interpolated, as piano rolls and MIDI files",
}
# bytes; pages of the course load pictures of up to this size quickly
HEAVY = 400_000


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
    option("name", choices=STUDIES, metavar="NAME", help="; ".join(f"{name}: {text}" for name, text in STUDIES.items())),
    out("studies", "folder to write into"),
    option("--compare", nargs="+", metavar="DIR", default=[], help="exports to compare, instead of --model"),
    option("--data", metavar="DIR", help="folder of picture files, or tensorflow-datasets folder (default: as trained on)"),
    *(MODEL, SEED),
    prog="python -m course",
)
def main(arguments):
    """Run the study that the command line names, and print its numbers."""
    from keras_ae import outputs
    from keras_ae.errors import UserError
    from keras_ae.exports.reading import Exported
    from keras_ae.judge import judge
    from keras_ae.versions import versions

    try:
        run = importlib.import_module(f"course.{arguments.name}").run
    except ImportError as error:
        raise UserError(f"this study needs {error.name}: pip install 'keras_ae[test]'") from None
    folders = judge.name_folders(arguments.compare or [arguments.model])
    models = {name: Exported(folder) for name, folder in folders.items()}
    image_set = judge.load_images(models, arguments.data)
    folder = outputs.check_place(arguments.out)
    for taken in sorted(folder.glob(f"{arguments.name}*")):
        outputs.check_file(taken)
    protocol = {"data": image_set.name, "n_held_out": image_set.n_test, "seed": arguments.seed, "versions": versions()}
    with outputs.into(folder) as partial:
        numbers = run(models, image_set, arguments.seed, partial)
        every = {"study": arguments.name, "exports": list(models), **protocol, **numbers}
        (partial / f"{arguments.name}.json").write_text(json.dumps(every, indent=2) + "\n", encoding="utf-8")
    for path in sorted(folder.glob(f"{arguments.name}*.png")):
        if path.stat().st_size > HEAVY:
            warn(f"{path} has {path.stat().st_size / 1000:.0f} kB; pages load slowly with more than {HEAVY // 1000}")
    # without --data, the images are those of the first model, or the study draws its own
    for line in judge.warn_of_other_data(models, image_set) if arguments.data else ():
        warn(line)
    print(f"{arguments.name} of {', '.join(models)} on {image_set.name} -> {folder / arguments.name}.json")
    print("\n".join(lines_of(numbers)))


if __name__ == "__main__":
    main()
