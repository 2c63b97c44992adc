"""Exports on the Hugging Face Hub, at addresses hf://NAME/MODEL or hf://NAME/MODEL@REVISION.

Only files of the kinds of an export, none of them a pickle, are published and fetched. The card has their digests: a file with
another one is refused before any is opened.
"""

import hashlib
import re
import shutil
from pathlib import Path

from keras_ae.errors import UserError, explain
from keras_ae.exports.card import read_card, write_card

ADDRESS = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
# README.md has no digest: people change it on the hub's page, and no program reads it
WITH_DIGEST = ["*.pb", "*.index", "*.data-00000-of-00001", "*.onnx", "*.tflite", "*.npz", "*.png"]
KINDS = ["card.json", "README.md", *WITH_DIGEST]


def read_address(address):
    """The name NAME/MODEL and the revision, or None, of an address. Raises UserError."""
    found = ADDRESS.fullmatch(address)
    if not found:
        raise UserError(f"an address on the hub is hf://NAME/MODEL, or hf://NAME/MODEL@REVISION. Received: {address}")
    return found.groups()


def digest_files(folder):
    """{path in `folder`: SHA-256 in hexadecimal} of the files of an export that have a digest."""
    found = sorted(path for kind in WITH_DIGEST for path in folder.rglob(kind))
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def stage(folder, address, license, place):
    """Copy an export to the folder `place` as it is published, with licence, address and digests in its card; these digests."""
    read_address(address)
    card, digests = read_card(folder), digest_files(Path(folder))
    for name in digests:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(folder) / name, place / name)
    card |= {"license": license, "address": address, "digests": digests}
    write_card(place, card)
    return digests


def upload(place, address):
    """Publish the folder `place`, which `stage` wrote. Returns the page of the model."""
    import huggingface_hub

    name, revision = read_address(address)
    with explain(f"cannot publish {address}", Exception):
        page = huggingface_hub.create_repo(name, exist_ok=True)
        huggingface_hub.upload_folder(repo_id=name, folder_path=place, revision=revision, allow_patterns=KINDS)
    return page


def fetch(address):
    """The folder of the export at `address`, in the hub's cache. Raises UserError if it cannot be fetched or was changed."""
    import huggingface_hub

    name, revision = read_address(address)
    with explain(f"cannot fetch {address}", Exception):
        folder = Path(huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=KINDS))
    named = read_card(folder).get("digests")
    if not isinstance(named, dict):
        raise UserError(f"{address}: its card has no digests; publish it with python -m keras_ae.publish")
    found = digest_files(folder)
    for path in sorted({*named, *found}):
        if named.get(path) != found.get(path):
            advice = "name another @REVISION, or publish it again"
            raise UserError(f"{address}: {path} is not the file that was published; {advice}")
    return folder
