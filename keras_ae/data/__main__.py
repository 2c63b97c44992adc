"""Download and decode a data set, and say what it holds: python -m keras_ae.data cats"""

from keras_ae import commandline

# quietly, before what imports it
commandline.import_tensorflow()

from keras_ae.data import pipeline  # noqa: E402


def parser():
    parser = commandline.Parser("python -m keras_ae.data", description=__doc__)
    parser.add_argument("data", metavar="DATA", help="folder of picture files, or a data set: cats, cifar10 ... (docs/data.md)")
    return parser


def prepare(arguments):
    image_set = pipeline.load(*pipeline.resolve(arguments.data, arguments.data))
    for line in image_set.summary:
        print(line)


if __name__ == "__main__":
    commandline.run(parser(), prepare)
