"""Find the pictures of a folder that are most like others: python -m keras_ae.search A.jpg --data DIR

Without --model, pictures are compared by edges and colours at each place; what is known of the folder is kept for the next
search, which reads new files alone.
"""

import numpy as np

from keras_ae.commandline import CODES, FORCE, check_out, command, number, open_model, option, out, read_looks
from keras_ae.files import write_folder
from keras_ae.images import pages, pictures


@command(
    option("pictures", nargs="+", metavar="PICTURE", help="picture files of any size and mode"),
    option("--data", metavar="DIR", required=True, help="folder of picture files to search"),
    option("--n", type=number(1, 1000, int), default=20, help="how many to find for each picture"),
    out("search", "folder to write"),
    *(*CODES, FORCE),
)
def main(arguments):
    path = check_out(arguments)
    model = open_model(arguments) if arguments.model else None
    queries = [read_looks(model, [query], None)[1][0] for query in arguments.pictures]
    paths, looks = read_looks(model, pictures.find(arguments.data), arguments.data)
    squares = np.einsum("nd,nd->n", looks, looks)
    rows, sections = [("query", "rank", "file", "distance")], {}
    for query, wanted in zip(arguments.pictures, queries, strict=True):
        distances = np.sqrt(np.maximum(squares - 2 * looks @ wanted + wanted @ wanted, 0))
        found = [(paths[row], f"{distances[row]:.4f}") for row in np.argsort(distances, kind="stable")[: arguments.n]]
        name = pictures.printable(query)
        rows += [(name, rank, pictures.printable(one), far) for rank, (one, far) in enumerate(found, 1)]
        sections[f"Most like {name}"] = [(query, ["wanted"]), *((one, [far]) for one, far in found)]
    said = f"Distances of {'codes' if model else 'edges and colours'} among {len(paths):,} pictures; 0 is the same."
    with write_folder(path, arguments.force) as folder:
        pages.write(folder / "search.csv", rows, arguments.data, [said], sections)
    print(f"nearest to {rows[1][0]} of {len(paths):,} pictures: {rows[1][2]} ({rows[1][3]}) -> {path}: search.csv, search.html")
