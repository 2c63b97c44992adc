"""The commands on a folder of pictures without a model: copies."""

import csv
import os
import shutil

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from keras_ae import copies
from keras_ae.data import alignment, index
from keras_ae.data.drawn_cats import draw, sample_factors
from keras_ae.images import pictures

CHANGES = {
    "mirrored": ImageOps.mirror,
    "resized": lambda image: image.resize((48, 48), Image.Resampling.BICUBIC),
    "cropped": lambda image: image.crop((5, 5, 91, 91)),
    "turned": lambda image: image.rotate(5, Image.Resampling.BICUBIC),
    "lighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "re-encoded": lambda image: image,
}


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def cat(number, side=96):
    return Image.fromarray(draw(sample_factors(11, number), side))


@pytest.fixture
def mixed(tmp_path):
    """A folder of 40 cats; of cat 3 each of CHANGES, of cat 5 the same bytes twice, a damaged file."""
    folder = tmp_path / "in"
    (folder / "deeper").mkdir(parents=True)
    for number in range(40):
        cat(number).save(folder / f"{number:02}.jpg", quality=92)
    for name, change in CHANGES.items():
        change(cat(3)).save(folder / "deeper" / f"{name}.jpg", quality=30 if name == "re-encoded" else 70)
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(folder / "05.jpg", folder / "deeper" / name)
    (folder / "broken.jpg").write_text("no picture")
    return folder


def everything(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_kind_of_copy_is_found_and_named_and_the_original_is_kept(mixed, tmp_path, capfd):
    copies.main([str(mixed), "--out", str(tmp_path / "out")])
    printed = capfd.readouterr()
    assert "48 pictures: 2 byte-for-byte copies and 6 near-copies in 2 groups" in printed.out
    assert "broken.jpg: not a picture file" in printed.err
    found = {os.path.relpath(row["file"], mixed): row for row in rows(tmp_path / "out" / "copies.csv")}
    assert {name for name, row in found.items() if row["keep"] == "yes"} == {"03.jpg", "05.jpg"}
    kinds = {name: found[f"deeper/{name}.jpg"]["kind"] for name in CHANGES}
    assert all(name in kind.split() for name, kind in kinds.items()), kinds
    assert [found[f"deeper/{name}.jpg"]["kind"] for name in "ab"] == ["identical"] * 2
    assert len({row["group"] for row in found.values()}) == 2
    page = (tmp_path / "out" / "copies.html").read_text(encoding="utf-8")
    assert page.count("<img") == 10 and "http" not in page
    # ours may be replaced
    copies.main([str(mixed), "--out", str(tmp_path / "out")])


def test_moved_files_come_back_as_they_were_and_nothing_is_overwritten(mixed, tmp_path, fails):
    before, away = everything(mixed), tmp_path / "away"
    words = [str(mixed), "--out", str(tmp_path / "out"), "--move-to", str(away)]
    assert "nothing was moved to" in fails(copies.main, *words, "--undo")
    copies.main(words)
    assert len(everything(mixed)) == len(before) - 8
    assert everything(mixed).items() | everything(away).items() >= before.items()
    (mixed / "deeper" / "a.jpg").write_text("new")
    assert "a.jpg exists and is not replaced" in fails(copies.main, *words, "--undo")
    (mixed / "deeper" / "a.jpg").unlink()
    copies.main([*words, "--undo"])
    assert everything(mixed) == before and not everything(away)


def test_a_copy_that_cannot_be_moved_stops_all_of_them(mixed, tmp_path, fails):
    before, away = everything(mixed), tmp_path / "away"
    (away / "deeper").mkdir(parents=True)
    (away / "deeper" / "b.jpg").touch()
    words = (mixed, "--out", tmp_path / "out", "--move-to")
    assert "or choose another folder for --move-to" in fails(copies.main, *words, away)
    assert "choose a folder outside of it" in fails(copies.main, *words, mixed / "away")
    assert "name it with --move-to" in fails(copies.main, mixed, "--undo")
    assert everything(mixed) == before


def test_a_link_is_not_kept_instead_of_its_file(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    cat(0).save(folder / "b.jpg")
    (folder / "a.jpg").symlink_to(folder / "b.jpg")
    copies.main([str(folder), "--out", str(tmp_path / "out"), "--move-to", str(tmp_path / "away")])
    assert os.listdir(folder) == ["b.jpg"] and (folder / "b.jpg").exists()


def test_the_index_reads_new_and_changed_files_alone(mixed, monkeypatch):
    def read():
        return index.read(pictures.find(mixed), mixed, lambda text: None)

    (first, _), seen, describe = read(), [], index.describe
    monkeypatch.setattr(index, "describe", lambda paths: seen.extend(path.name for path in paths) or describe(paths))
    cat(50).save(mixed / "new.jpg")
    cat(51).save(mixed / "07.jpg")
    (mixed / "09.jpg").unlink()
    second, entries = read()
    # what could not be read is tried again
    assert sorted(seen) == ["07.jpg", "broken.jpg", "new.jpg"]
    assert {path.name for path in second} == {path.name for path in first} - {"09.jpg"} | {"new.jpg"}
    np.testing.assert_array_equal(entries, index.read(second, None, lambda text: None)[1])


def test_a_known_map_is_found():
    image = cat(3, 128).convert("L")
    inner = image.crop((6, 6, 122, 122)).resize((128, 128), Image.Resampling.BICUBIC)
    first, second = (np.asarray(one.resize((32, 32), Image.Resampling.BOX))[None] for one in (image, ImageOps.mirror(inner)))
    found = alignment.align(first, second)
    assert found.alike > 0.95 and found.mirrored
    np.testing.assert_allclose(found.maps[0], [[128 / 116, 0, 0], [0, 128 / 116, 0]], atol=0.01)


def test_different_cats_are_no_copies(tmp_path):
    images = np.stack([np.asarray(cat(number, 32).convert("L")) for number in range(300)])
    assert len(alignment.find_moved(images)) <= 2


def test_copies_of_real_pictures(shared, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    # 9304.jpg and those after it repeat earlier files
    for number in (*range(1, 201), *range(9304, 9404)):
        if (path := shared / "cat_faces" / f"{number}.jpg").exists():
            shutil.copy(path, folder)
    contents = list(everything(folder).values())
    copies.main([str(folder), "--out", str(tmp_path / "out")])
    found = rows(tmp_path / "out" / "copies.csv")
    assert sum(row["kind"] == "identical" for row in found) == len(contents) - len(set(contents)) > 10
