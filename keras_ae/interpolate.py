"""Decode a path between the codes of two pictures: python -m keras_ae.interpolate A.jpg B.jpg"""

import numpy as np

from keras_ae.commandline import EXPORT, check_out, command, number, open_model, option, out, picture_options
from keras_ae.errors import UserError
from keras_ae.images import pictures
from keras_ae.priors import space


@command(
    *picture_options(text="two picture files (default: two generated pictures)", data="folder to choose two from"),
    option("--steps", type=number(2, 1000, int), default=50, help="number of pictures on the path"),
    option("--spherical", action="store_true", help="along an arc instead of a straight line"),
    out("interpolation.gif", "animated .gif, or .png strip"),
    *EXPORT,
)
def main(arguments):
    path = check_out(arguments, tuple(pictures.WRITERS))
    model = open_model(arguments)
    if arguments.pictures or arguments.data:
        files = pictures.choose(arguments.pictures, arguments.data, 2, arguments.seed)
        if len(files) != 2:
            raise UserError(f"interpolate needs two pictures. Received: {len(files)}")
        ends = model.encode(np.stack([pictures.read(file, model.input_shape, model.white, model.fit) for file in files]))
    else:
        _, ends = model.generate(2, arguments.seed)
    line = space.spherical if arguments.spherical else space.linear
    pictures.write(path, pictures.to_uint8(model.decode(line(*ends, arguments.steps))), columns=10)
    print(f"{arguments.steps} pictures along a {line.__name__} path from {model.folder} -> {path}")


if __name__ == "__main__":
    main()
