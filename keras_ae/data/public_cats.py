"""The public set of 64x64 cat faces, downloaded from Kaggle into the cache."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

from keras_ae import files
from keras_ae.errors import UserError, first_line
from keras_ae.images import pictures

NAME = "cats-faces-64x64-for-generative-models"
HANDLE = f"spandan2/{NAME}"
PAGE = f"https://www.kaggle.com/datasets/{HANDLE}"
FILES = 15_747
# SHA-256 of a few of its files; 9304.jpg repeats 1.jpg
DIGESTS = {
    "1.jpg": "77e78065bdda884c377504f30ff7b87273cf7a42a0912939a440525bea727bab",
    "100.jpg": "9996963c1f91a5666f7191d9a6226f52571783a9b7aff7a8f7558fbc6ec2d3bf",
    "5000.jpg": "d4264308fcd9ece8a9df6ffd943ba8efd73aedb5669964cca5352003c85415bc",
    "9304.jpg": "77e78065bdda884c377504f30ff7b87273cf7a42a0912939a440525bea727bab",
    "12000.jpg": "314281409089d464cbe1b3b4b1f5e7c8496ee1c1cb41f9cf96f4a0bf1b0230da",
}


def _instead(reason):
    """The UserError that says what to place where."""
    place = f"download {PAGE} in a browser, unpack it, and name its folder with --data FOLDER"
    return UserError(f"cannot download the cat faces: {reason}; {place}")


def check(folder):
    """UserError unless the folder holds the files that are expected: their number, and the digests of a few."""
    paths = pictures.find(folder)
    if len(paths) != FILES:
        raise _instead(f"{len(paths):,} pictures came, {FILES:,} were expected")
    by_name = {path.name: path for path in paths}
    for name, digest in DIGESTS.items():
        if name not in by_name or hashlib.sha256(by_name[name].read_bytes()).hexdigest() != digest:
            raise _instead(f"{name} is missing or not the file that was expected")


def fetched(cache):
    """The folder of the public set in the folder `cache`, downloaded unless it is there, and checked. Raises UserError."""
    # kagglehub asks Kaggle for the newest version, also where it has one
    place = Path(cache) / f"{NAME}.json"
    with contextlib.suppress(OSError, ValueError, UserError):
        folder = Path(json.loads(place.read_text(encoding="utf-8")))
        check(folder)
        return folder
    folder = _downloaded(cache)
    check(folder)
    with files.written_whole(place) as partial:
        partial.write_text(json.dumps(str(folder)), encoding="utf-8")
    return folder


def _downloaded(cache):
    try:
        import kagglehub
    except ImportError:
        raise _instead("this needs the package kagglehub, pip install 'keras_ae[cats]'") from None
    # read when it downloads
    os.environ.setdefault("KAGGLEHUB_CACHE", str(Path(cache) / "kagglehub"))
    try:
        return Path(kagglehub.dataset_download(HANDLE))
    except Exception as error:
        # of its network library, of Kaggle, or of the disk
        raise _instead(first_line(error)) from error
