"""Exports on the Hugging Face Hub, at addresses hf://NAME/MODEL or hf://NAME/MODEL@REVISION.

Only files of the kinds of an export, none of them a pickle, are published and fetched. The card has their digests: a file with
another one is refused before any is opened.
"""

import hashlib
import re
import shutil
import tempfile
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


def publish(folder, address, license, dry_run=False):
    """Publish an export with its licence, unless it is a dry run; the digests of its files, and the page of the model."""
    name, revision = read_address(address)
    card, digests, page = read_card(folder), digest_files(Path(folder)), "nothing was published"
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(folder, place, dirs_exist_ok=True)
        write_card(Path(place), card | {"license": license, "address": address, "digests": digests})
        if not dry_run:
            import huggingface_hub

            with explain(f"cannot publish {address}", Exception):
                page = huggingface_hub.create_repo(name, exist_ok=True)
                huggingface_hub.upload_folder(repo_id=name, folder_path=place, revision=revision, allow_patterns=KINDS)
    return digests, page


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
