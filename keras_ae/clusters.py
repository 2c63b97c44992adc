"""Sort the pictures of a folder into groups of similar ones: python -m keras_ae.clusters --data DIR

Without --model, pictures are compared by edges and colours at each place. The pictures stay where they are.
"""

import os
import warnings

import numpy as np

from keras_ae.commandline import CODES, FORCE, SEED, check_out, command, number, open_model, option, out, read_looks
from keras_ae.files import write_folder
from keras_ae.images import pages, pictures

SHOWN = 24  # pictures of a cluster on the page


def find_clusters(looks, count, seed):
    """The cluster of each of n looks (n, d) by k-means, from 1, the largest first, and its distance from the middle of it."""
    from sklearn.cluster import MiniBatchKMeans

    count = min(count or min(50, round((len(looks) / 2) ** 0.5)) or 1, len(looks))
    # fewer different pictures than clusters
    with warnings.catch_warnings(action="ignore"):
        search = MiniBatchKMeans(count, random_state=seed, n_init=3, batch_size=4096).fit(looks)
    _, numbers, sizes = np.unique(search.labels_, return_inverse=True, return_counts=True)
    places = np.argsort(np.argsort(-sizes, kind="stable"))
    return places[numbers] + 1, np.linalg.norm(looks - search.cluster_centers_[search.labels_], axis=1)


@command(
    option("--data", metavar="DIR", required=True, help="folder of picture files, at any depth"),
    option("--n", type=number(1, 10_000, int), help="number of clusters (default: by the number of pictures, at most 50)"),
    option("--links", action="store_true", help="also folders of links to the pictures of each cluster, most typical first"),
    out("clusters", "folder to write"),
    *(*CODES, SEED, FORCE),
)
def main(arguments):
    path = check_out(arguments)
    model = open_model(arguments) if arguments.model else None
    paths, looks = read_looks(model, pictures.find(arguments.data), arguments.data)
    numbers, distances = find_clusters(looks, arguments.n, arguments.seed)
    order = np.lexsort((distances, numbers))
    groups = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    rows = [(pictures.printable(paths[row]), numbers[row], f"{distances[row]:.4f}") for row in order]
    said = f"{len(paths):,} pictures in {len(groups)} clusters of {len(groups[-1]):,} to {len(groups[0]):,}"
    note = f"{said}; of each up to {SHOWN}, the most typical first. clusters.csv has all."
    sections = {}
    with write_folder(path, arguments.force) as folder:
        for place, group in enumerate(groups, 1):
            sections[f"Cluster {place}: {len(group):,} pictures"] = [(paths[row], []) for row in group[:SHOWN]]
            for rank, row in enumerate(group if arguments.links else ()):
                link = folder / "links" / f"{place:03}" / f"{rank:05}_{os.path.basename(paths[row])}"
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(os.path.abspath(paths[row]))
        pages.write(folder / "clusters.csv", [("file", "cluster", "distance"), *rows], arguments.data, [note], sections)
    print(f"{said} -> {path}: clusters.csv, clusters.html")
