"""Move a picture along an attribute, as a strip or a film: python -m keras_ae.edit PICTURE --attribute eye_size"""

import numpy as np

from keras_ae.commandline import EXPORT, SECONDS, check_out, command, number, open_model, option, out, read_folder, write_film
from keras_ae.data import drawn_cats
from keras_ae.errors import UserError
from keras_ae.images import pictures
from keras_ae.images.properties import PROPERTIES, measure
from keras_ae.priors import space


def find_direction(model, arguments):
    """The direction of the attribute in latent space, (latent_dim,): from two folders, generated pictures, or drawn cats."""
    name, of_cats = arguments.attribute, drawn_cats.factor_names()
    if bool(arguments.having) != bool(arguments.without):
        raise UserError("--with and --without belong together: folders of pictures with and without the attribute")
    if arguments.having:
        groups = [read_folder(model, folder) for folder in (arguments.without, arguments.having)]
        examples, values = np.concatenate(groups), np.repeat([0, 1], [len(group) for group in groups])
    elif name in PROPERTIES:
        drawn, codes = model.generate(arguments.examples, arguments.seed)
        way = space.separate(codes, measure(pictures.to_float(drawn)))[PROPERTIES.index(name)]
        if not way.any():
            raise UserError(f"{name} is the same in all pictures of {model.folder}; choose another attribute")
        return way
    elif name in of_cats:
        factors, examples = drawn_cats.draw_cats(arguments.examples, model.input_shape, arguments.seed, fit=model.fit)
        values = [drawn_cats.factor_value(one, name) for one in factors]
    else:
        unknown, known = f"unknown attribute '{name}'" if name else "no attribute given", ", ".join([*PROPERTIES, *of_cats])
        raise UserError(f"{unknown}; name folders --with and --without, or as --attribute one of {known}")
    return space.direction(model.encode(examples, progress="encoding"), values)


@command(
    option("picture", metavar="PICTURE", nargs="?", help="picture file (default: a generated picture)"),
    option("--attribute", metavar="NAME", help="brightness ..., or of built-in cats, eye_size ...; or a name for --with"),
    option("--with", dest="having", metavar="DIR", help="folder of pictures with the attribute"),
    option("--without", metavar="DIR", help="folder of pictures without it"),
    option("--strength", type=number(0.1, 20), default=3.0, help="standard deviations to each side of the middle"),
    option("--steps", type=number(2, 50, int), default=7, help="number of pictures in the strip"),
    option("--examples", type=number(10, 100_000, int), default=1000, help="pictures that an attribute is learned from"),
    SECONDS,
    out("edit.png", ".png strip, or film (.gif, .webp, .mp4) there and back"),
    *EXPORT,
)
def main(arguments):
    path = check_out(arguments, tuple(pictures.WRITERS))
    model = open_model(arguments)
    way = find_direction(model, arguments)
    if arguments.picture:
        z = model.encode(pictures.read(arguments.picture, model.input_shape, model.white, model.fit)[None])[0]
    else:
        z = model.generate(1, arguments.seed)[1][0]
    name, most = arguments.attribute or f"{arguments.having} against {arguments.without}", arguments.strength
    film = path.suffix.lower() in pictures.FILMS
    steps = round(15 * (arguments.seconds or 4)) + 1 if film else arguments.steps
    codes = space.move(z, way, np.linspace(-most, most, steps))
    if film:
        write_film(model, path, np.concatenate([codes, codes[-2::-1]])[:, None])
    else:
        pictures.write(path, pictures.to_uint8(model.decode(codes)), columns=steps)
    print(f"{steps} pictures, {name} from {-most:g} to {most:g} standard deviations, by {model.folder} -> {path}")
