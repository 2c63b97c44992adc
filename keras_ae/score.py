"""Rank pictures by how unusual they are to a model: python -m keras_ae.score --data DIR"""

from keras_ae import commandline

PRINTED = 10
# images of --reference in memory
REFERENCE = 10_000


def parser():
    parser = commandline.Parser(
        "score", "Give each picture its reconstruction error and negative ELBO, and list the most unusual first."
    )
    folder = "folder of picture files; the names of its sub-folders are the classes for a conditional model"
    commandline.add_pictures(parser, data=folder)
    usual = "folder of usual pictures, such as the training images"
    reference = f"{usual}: adds a score, how unusual the texture is that the model does not reproduce"
    parser.add_argument("--reference", metavar="DIR", help=reference)
    parser.add_argument("--against", metavar="DIR", help="folder of other pictures: how well the scores separate the two")
    commandline.add_common(parser, "scores.csv", "table to write; a picture of the most unusual is written beside it")
    commandline.add_label(parser)
    commandline.add_runtime(parser)
    return parser


def separated(rows, others, one, other):
    """Lines on how well the scores separate two sets of pictures."""
    from keras_ae.exports import scoring

    yield f"A: {len(rows)} of {one}; B: {len(others)} of {other}"
    for name, area in scoring.separation(rows, others).items():
        meaning = "the probability that a picture of B scores higher than one of A (0.5: no difference, 1: always)"
        yield f"ROC-AUC of {name} {area:.3f}: {meaning}"


def texture_of(model, directory, seed, report):
    """The score by texture from a folder of usual pictures: at most `REFERENCE` of them, chosen by `seed`."""
    from keras_ae.exports import scoring
    from keras_ae.images import pictures
    from keras_ae.judge.texture import Texture

    paths = pictures.chosen((), directory, REFERENCE, seed)
    size, _, channels = model.shape
    labels = model.labels_of(paths, directory)
    numbers, usual = pictures.read_all(paths, size, channels, report)
    _, rebuilt = scoring.scored(model, usual, None if labels is None else labels[numbers])
    return Texture(pictures.to_float(usual), rebuilt)


def score(arguments):
    from keras_ae import outputs
    from keras_ae.exports import scoring
    from keras_ae.exports.reading import Exported
    from keras_ae.images import pictures

    out = pictures.check(arguments.out, (".csv",))
    outputs.check_file(scoring.picture_of(out))
    model = Exported(arguments.model, arguments.label, arguments.runtime)
    model.check_rebuilds()
    paths = pictures.chosen(arguments.pictures, arguments.data)
    reference = arguments.reference
    texture = texture_of(model, reference, arguments.seed, commandline.warn) if reference else None
    rows, shown = scoring.score_all(model, paths, arguments.data, commandline.warn, texture)
    picture = scoring.write(out, rows, shown)
    for row in rows[:PRINTED]:
        nats = f"{row['neg_elbo']:10.0f} nats" if "neg_elbo" in row else ""
        missing = f"  texture {row['texture']:8.1f}" if "texture" in row else ""
        print(f"  mse {row['mse']:.4f} {nats}{missing}  {row['file']}")
    print(f"{len(rows)} pictures scored by {model.folder}, the most unusual first -> {out}, {picture}")
    if arguments.against:
        others, _ = scoring.score_all(model, pictures.find(arguments.against), arguments.against, commandline.warn, texture)
        one = arguments.data or "the given files"
        print("\n".join(separated(rows, others, one, arguments.against)))


def main(argv=None):
    commandline.run(parser(), score, argv)


if __name__ == "__main__":
    main()
