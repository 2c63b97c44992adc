"""Exports on the Hugging Face Hub; a stand-in of its library keeps the files in a folder, as the real one does in its cache."""

import inspect
import re
import shutil
import sys
import types
from pathlib import Path

import pytest
from conftest import CATS

import keras_ae
from keras_ae import generate, publish
from keras_ae.errors import UserError
from keras_ae.exports.card import read_card, write_card


class Hub(types.ModuleType):
    """The functions of `huggingface_hub` that are used, with the files of every model in `root`."""

    def __init__(self, root):
        super().__init__("huggingface_hub")
        self.root = root

    def copy(self, source, out, patterns):
        files = [path for path in source.rglob("*") if path.is_file() and any(map(path.match, patterns))]
        for path in files:
            (out / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, out / path.relative_to(source))

    def create_repo(self, repo_id, *, exist_ok=False):
        (self.root / repo_id).mkdir(parents=True, exist_ok=exist_ok)
        return f"https://hub/{repo_id}"

    def upload_folder(self, *, repo_id, folder_path, revision=None, allow_patterns=None):
        self.copy(Path(folder_path), self.root / repo_id, allow_patterns)

    def snapshot_download(self, repo_id, *, revision=None, allow_patterns=None):
        if not (self.root / repo_id).is_dir() or revision not in (None, "main"):
            raise OSError(f"404 Client Error: no {repo_id} at {revision}\nmore")
        self.copy(self.root / repo_id, self.root / "cache" / repo_id, allow_patterns)
        return str(self.root / "cache" / repo_id)


@pytest.fixture
def model(tmp_path):
    """An export without the large SavedModels, and a file of another kind."""
    shutil.copytree(CATS, tmp_path / "cats", ignore=shutil.ignore_patterns("encoder", "decoder", "generator"))
    (tmp_path / "cats" / "decoder").mkdir()
    (tmp_path / "cats" / "decoder" / "saved_model.pb").write_bytes(b"a network")
    (tmp_path / "cats" / "weights.pkl").write_bytes(b"a pickle")
    return tmp_path / "cats"


@pytest.fixture
def place(tmp_path, monkeypatch, model):
    """The folder in which the stand-in has a published model, hf://me/cats."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub(tmp_path / "hub"))
    publish.main(["--model", str(model), "--to", "hf://me/cats", "--license", "cc0-1.0"])
    return tmp_path / "hub" / "me" / "cats"


def test_a_published_model_comes_back_bit_by_bit_and_draws_the_same_pictures(model, place, tmp_path):
    for address in ("hf://me/cats", "hf://me/cats@main"):
        fetched = keras_ae.load(address, runtime="onnx")
    files = {path.relative_to(model).as_posix(): path.read_bytes() for path in model.rglob("*") if path.is_file()}
    names = {path.relative_to(fetched.folder).as_posix() for path in fetched.folder.rglob("*") if path.is_file()}
    assert names == set(files) - {"weights.pkl"}
    assert all((fetched.folder / name).read_bytes() == files[name] for name in names - {"card.json", "README.md"})
    for name, words in (("a.png", str(model)), ("b.png", "hf://me/cats")):
        generate.main(["--model", words, "--n", "4", "--out", str(tmp_path / name)])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_page_of_a_model_has_a_snippet_that_works(place, monkeypatch):
    text = (place / "README.md").read_text()
    assert '\nlicense: "cc0-1.0"\nlibrary_name: "keras_ae"\n' in text
    (snippet,) = re.findall(r"keras_ae\[hub\].*?\n\n((?:    .*\n)+)", text)
    names = {}
    exec(re.sub("^    ", "", snippet, flags=re.MULTILINE).replace('cats"', 'cats", runtime="onnx"'), names)
    assert names["images"].shape == (16, 64, 64, 3)


def remove(path):
    path.unlink()


def change(path):
    data = bytearray(path.read_bytes()) if path.exists() else bytearray(9)
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "damage"),
    [("onnx/decoder.onnx", change), ("decoder/saved_model.pb", change), ("onnx/more.onnx", change), ("onnx/prior.npz", remove)],
)
def test_a_changed_file_is_refused_in_one_line(place, fails, tmp_path, name, damage):
    damage(place / name)
    line = fails(generate.main, "--model", "hf://me/cats", "--out", tmp_path / "a.png")
    assert f"hf://me/cats: {name} is not the file that was published" in line


def test_wrong_addresses_and_models_are_one_line(model, place, fails):
    words = ("--model", model, "--license", "mit", "--to")
    for address in ("me/cats", "hf://cats", "hf://me/cats@", "hf://../cats/more"):
        assert f"hf://NAME/MODEL@REVISION. Received: {address}" in fails(publish.main, *words, address)
    assert "no such folder" in fails(publish.main, *words, "hf://me/cats", "--model", "nowhere")
    assert "required: --license" in fails(publish.main, "--to", "hf://me/cats")
    with pytest.raises(UserError, match="cannot fetch hf://me/dogs: 404 Client Error: no me/dogs at None$"):
        keras_ae.load("hf://me/dogs")
    shutil.copy(CATS / "card.json", place)
    with pytest.raises(UserError, match="its card has no digests"):
        keras_ae.load("hf://me/cats")


def test_a_dry_run_lists_the_files_and_publishes_nothing(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    publish.main(["--model", str(model), "--to", "hf://me/cats", "--license", "mit", "--dry-run"])
    *files, last = capsys.readouterr().out.splitlines()
    assert "onnx/decoder.onnx" in {line.split()[1] for line in files} and "weights.pkl" not in last
    assert last.endswith("licence mit -> hf://me/cats: nothing was published")


def test_the_library_takes_these_calls_and_reads_the_card(model, tmp_path):
    library = pytest.importorskip("huggingface_hub")
    for name in ("create_repo", "upload_folder", "snapshot_download"):
        used = set(inspect.signature(getattr(Hub, name)).parameters) - {"self"}
        assert used <= set(inspect.signature(getattr(library, name)).parameters)
    write_card(tmp_path, read_card(model) | {"license": "cc0-1.0"})
    card = library.ModelCard.load(tmp_path / "README.md")
    assert (card.data.library_name, card.data.license) == ("keras_ae", "cc0-1.0")
    assert card.data.eval_results[0].metric_type == "psnr"
