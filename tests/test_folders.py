"""The commands on a folder of pictures: copies, search, clusters, and the table of embed."""

import csv
import os
import shutil

import numpy as np
import pytest
from conftest import draw_cat
from PIL import Image, ImageEnhance, ImageOps

from keras_ae import clusters, copies, embed, search
from keras_ae.data import alignment, index
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
    return Image.fromarray(draw_cat(number, side, 11))


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
    assert "nothing to move back" in fails(copies.main, *words, "--undo")
    assert "nothing to move back" in fails(copies.main, mixed, "--undo")
    assert "choose a folder outside of it" in fails(copies.main, mixed, "--move-to", mixed / "away")
    copies.main(words)
    assert len(everything(mixed)) == len(before) - 8
    assert everything(mixed) | everything(away) == before
    assert "away has files, such as deeper" in fails(copies.main, *words)
    (mixed / "deeper" / "a.jpg").write_text("new")
    assert "a.jpg exists and is not replaced" in fails(copies.main, *words, "--undo")
    assert len(everything(away)) == 8
    (mixed / "deeper" / "a.jpg").unlink()
    copies.main([*words, "--undo"])
    assert everything(mixed) == before and not everything(away)


def test_a_link_is_not_kept_instead_of_its_file_and_without_copies_the_table_is_empty(tmp_path, capfd):
    folder = tmp_path / "in"
    folder.mkdir()
    cat(0).save(folder / "b.jpg")
    (folder / "a.jpg").symlink_to(folder / "b.jpg")
    copies.main([str(folder), "--out", str(tmp_path / "out"), "--move-to", str(tmp_path / "away")])
    assert os.listdir(folder) == ["b.jpg"] and (folder / "b.jpg").exists()
    copies.main([str(folder), "--out", str(tmp_path / "out")])
    assert "1 pictures: 0 byte-for-byte copies and 0 near-copies in 0 groups" in capfd.readouterr().out
    assert rows(tmp_path / "out" / "copies.csv") == []


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
    alike, maps, mirrored = alignment.align(first, second)
    assert alike > 0.95 and mirrored
    np.testing.assert_allclose(maps[0], [[128 / 116, 0, 0], [0, 128 / 116, 0]], atol=0.01)
    # different cats are no copies
    assert len(alignment.find_moved(np.stack([np.asarray(cat(number, 32).convert("L")) for number in range(100)]))) <= 1


def test_groups_of_copies_are_those_of_the_split_and_what_was_moved(mixed):
    paths, entries = index.read(pictures.find(mixed), None, lambda text: None)
    leaders = index.find_groups(entries)
    assert sorted(np.bincount(leaders)[np.bincount(leaders) > 1]) == [3, 7]
    # the first file of each group
    assert (leaders <= np.arange(len(paths))).all() and (leaders[leaders] == leaders).all()


@pytest.mark.parametrize("with_model", [False, True])
def test_search_finds_a_picture_and_its_copies_first(mixed, tmp_path, exported, fails, with_model):
    query, model = tmp_path / "query.png", ["--model", str(exported)] if with_model else []
    cat(3).save(query)
    words = [str(query), "--data", str(mixed), "--out", str(tmp_path / "out"), "--n", "4", *model]
    search.main(words)
    found = rows(tmp_path / "out" / "search.csv")
    assert [row["rank"] for row in found] == list("1234") and found[0]["query"] == str(query)
    distances = [float(row["distance"]) for row in found]
    assert distances == sorted(distances)
    copied = {"03.jpg", *(f"{name}.jpg" for name in CHANGES)}
    assert {os.path.basename(row["file"]) for row in found[:2]} <= copied
    assert (tmp_path / "out" / "search.html").read_text(encoding="utf-8").count("<img") == 5
    assert "none of these" in fails(search.main, mixed / "broken.jpg", *words[1:])


def test_clusters_are_of_similar_pictures_and_links_lead_to_them(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(30):
        cat(number, 32).save(folder / f"cat{number}.png")
        stripes = 128 + 120 * np.sin(np.arange(64) * (0.5 + 0.01 * (number % 10)))
        Image.fromarray(np.tile(stripes.astype("uint8"), (64, 1))).save(folder / f"stripes{number % 10}.png")
    words = ["--data", str(folder), "--out", str(tmp_path / "out"), "--n", "2"]
    for _ in range(2):
        # links are ours, too
        clusters.main([*words, "--links"])
    found = rows(tmp_path / "out" / "clusters.csv")
    kinds = {(row["cluster"], os.path.basename(row["file"])[:3]) for row in found}
    assert kinds == {("1", "cat"), ("2", "str")} and len(found) == 40
    links = sorted((tmp_path / "out" / "links" / "002").iterdir())
    assert len(links) == 10 and links[0].resolve() == folder / os.path.basename(found[30]["file"])
    (tmp_path / "out" / "links" / "002" / "notes.txt").touch()
    with pytest.raises(SystemExit):
        clusters.main(words)
    # one picture is one cluster
    numbers, distances = clusters.find_clusters(np.ones((1, 4), "float32"), None, 0)
    assert numbers.tolist() == [1] and distances.tolist() == [0]


def test_embed_writes_a_table_for_other_tools(mixed, tmp_path, exported):
    parquet = pytest.importorskip("pyarrow.parquet")
    for _ in range(2):
        embed.main(["--model", str(exported), "--data", str(mixed), "--out", str(tmp_path / "out")])
    table = parquet.read_table(tmp_path / "out" / "codes.parquet")
    assert table.column_names == ["file", "label", "embedding", "x", "y", "error", "cluster", "copy_of"]
    found = table.to_pydict()
    codes = np.load(tmp_path / "out" / "codes.npy")
    np.testing.assert_array_equal(np.array(found["embedding"], "float32"), codes)
    originals = {os.path.basename(file): original for file, original in zip(found["file"], found["copy_of"], strict=True)}
    assert originals["b.jpg"] == str(mixed / "05.jpg") and originals["turned.jpg"] == str(mixed / "03.jpg")
    assert sum(original is not None for original in originals.values()) == 8
    assert min(found["error"]) > 0 and min(found["cluster"]) == 1
