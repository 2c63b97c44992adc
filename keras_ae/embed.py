"""Write the codes of pictures as files, for TensorBoard's projector, and as a map: python -m keras_ae.embed --data DIR"""

import shlex

from keras_ae import commandline

MOST_SHOWN = 1500


def parser():
    parser = commandline.Parser(
        "embed", "Write the codes of pictures: npz, csv, TensorBoard projector, and a map of thumbnails."
    )
    commandline.add_pictures(parser, data="folder of picture files; the names of its sub-folders are their labels")
    commandline.add_common(parser, "embedding", "folder to write")
    commandline.add_label(parser)
    commandline.add_runtime(parser)
    return parser


def embed(arguments):
    import numpy as np

    from keras_ae import outputs
    from keras_ae.exports import embedding
    from keras_ae.exports.reading import Exported
    from keras_ae.images import figures, pictures
    from keras_ae.priors import space

    out = outputs.check_folder(arguments.out)
    model = Exported(arguments.model, arguments.label, arguments.runtime)
    paths = pictures.chosen(arguments.pictures, arguments.data)
    numbers, z, pixels, kept = embedding.encoded(model, paths, arguments.data, commandline.warn)
    paths = [paths[number] for number in numbers]
    names = [pictures.printable(path) for path in paths]
    classes = pictures.classes(paths, arguments.data) if arguments.data else [""] * len(paths)
    classes = [pictures.printable(name) for name in classes]
    with outputs.folder(out) as folder:
        embedding.write_tables(folder, names, classes, z)
        names, classes, places = [names[number] for number in kept], [classes[number] for number in kept], z[kept]
        embedding.write_projector(folder / "projector", names, classes, pixels, places)
        shown = np.random.default_rng(arguments.seed).permutation(len(kept))[:MOST_SHOWN]
        places, method = space.project(places, arguments.seed)
        title = f"{method} of the codes of {len(shown)} pictures"
        figures.thumbnails(places[shown], pictures.to_float(pixels[shown]), folder / "map.png", title, method)
    if len(kept) < len(z):
        print(f"the projector and the map show {len(kept):,} of {len(z):,} pictures, evenly spaced")
    print(f"codes of {len(z)} pictures, {z.shape[1]} numbers each -> {out}: codes.npz, codes.csv, map.png")
    print(f"look    tensorboard --logdir {shlex.quote(str(out / 'projector'))}")


def main(argv=None):
    commandline.run(parser(), embed, argv)


if __name__ == "__main__":
    main()
