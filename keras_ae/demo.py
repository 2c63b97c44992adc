"""Open the explorer with the shipped cats in a browser: python -m keras_ae.demo"""

from keras_ae import explore
from keras_ae.commandline import FORCE, command, find_model, out


@command(out("demo.html", "the page, an .html file"), FORCE, keras=False)
def main(arguments):
    force = ["--force"] if arguments.force else []
    explore.main(["--model", find_model(["cats"]), "--out", arguments.out, "--open", *force])
