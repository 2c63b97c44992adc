"""Open the explorer with the shipped cats in a browser: python -m keras_ae.demo"""

from keras_ae.commandline import FORCE, check_out, command, find_model, out
from keras_ae.explore import write_page


@command(out("demo.html", "the page, an .html file"), FORCE, keras=False)
def main(arguments):
    write_page(check_out(arguments, (".html",)), find_model(["cats"]), show=True)
