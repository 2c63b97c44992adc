"""Commands replace what they wrote themselves, and nothing else."""

import os
import shutil
import threading

import pytest

from keras_ae import files, outputs
from keras_ae.errors import UserError


def write(path, text="ours"):
    with outputs.file(path) as partial:
        partial.write_text(text)


def write_folder(path, **texts):
    with outputs.folder(path) as folder:
        (folder / "inner").mkdir()
        for name, text in texts.items():
            (folder / "inner" / name).write_text(text)


def contents(folder):
    """{name: text} of every visible file below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_a_file_of_a_command_is_replaced_by_the_next(tmp_path):
    write(tmp_path / "a.txt", "first")
    write(tmp_path / "a.txt", "second")
    assert contents(tmp_path) == {"a.txt": "second"}


def test_a_file_of_the_user_is_refused_and_stays(tmp_path):
    (tmp_path / "a.txt").write_text("theirs")
    with pytest.raises(UserError, match=r"a\.txt exists, and keras_ae did not write it"):
        write(tmp_path / "a.txt")
    assert contents(tmp_path) == {"a.txt": "theirs"}


def test_a_file_that_was_changed_since_is_the_user_s(tmp_path):
    write(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("ours, with notes")
    with pytest.raises(UserError, match="move it, or choose another --out"):
        write(tmp_path / "a.txt")


def test_a_link_is_never_followed(tmp_path):
    (tmp_path / "precious").write_text("theirs")
    (tmp_path / "a.txt").symlink_to(tmp_path / "precious")
    with pytest.raises(UserError):
        write(tmp_path / "a.txt")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "link").symlink_to(tmp_path)
    with pytest.raises(UserError, match="contains link"):
        write_folder(tmp_path / "b", x="new")
    assert (tmp_path / "precious").read_text() == "theirs"


def test_a_folder_of_a_command_is_replaced_whole(tmp_path):
    write_folder(tmp_path / "a", old="1")
    write_folder(tmp_path / "a", new="2")
    assert contents(tmp_path) == {"a/inner/new": "2"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


@pytest.mark.parametrize("name", ["notes.txt", "inner/notes.txt", ".hidden"])
def test_a_folder_with_a_file_of_the_user_is_refused(tmp_path, name):
    write_folder(tmp_path / "a", old="1")
    (tmp_path / "a" / name).write_text("theirs")
    with pytest.raises(UserError, match=f"a contains {name}"):
        write_folder(tmp_path / "a", new="2")
    assert (tmp_path / "a" / name).read_text() == "theirs"
    assert (tmp_path / "a" / "inner" / "old").read_text() == "1"


def test_a_copy_of_another_folder_is_refused(tmp_path):
    # such as a run, whose weights were lost when a report replaced it
    (tmp_path / "run").mkdir()
    for name in ("metrics.json", "weights.npz"):
        (tmp_path / "run" / name).write_text("theirs")
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    with pytest.raises(UserError, match=r"contains metrics\.json"):
        outputs.check_folder(tmp_path / "copy")


def test_a_moved_folder_can_still_be_proven(tmp_path):
    write_folder(tmp_path / "a", old="1")
    os.rename(tmp_path / "a", tmp_path / "b")
    write_folder(tmp_path / "b", new="2")
    assert contents(tmp_path) == {"b/inner/new": "2"}


def test_files_that_commands_wrote_into_a_folder_are_their_own(tmp_path):
    write_folder(tmp_path / "a", old="1")
    write(tmp_path / "a" / "samples.png")
    write(tmp_path / "a" / "inner" / "more.png")
    write_folder(tmp_path / "a", new="2")
    assert contents(tmp_path) == {"a/inner/new": "2"}


def test_an_empty_or_missing_folder_is_free_and_a_file_is_none(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name in ("empty", "missing"):
        assert outputs.check_folder(tmp_path / name) == tmp_path / name
    with pytest.raises(UserError, match="is a file; name a folder"):
        outputs.check_folder(tmp_path / "file")
    with pytest.raises(UserError, match="is a folder; name a file in it"):
        outputs.check_file(tmp_path / "empty")


@pytest.mark.parametrize("out", ["", " ", ".", "/", "..", "a/..", "a\0b"])
def test_an_output_without_a_name_is_refused(out):
    for check in (outputs.check_file, outputs.check_folder, outputs.check_place):
        with pytest.raises(UserError, match="--out must"):
            check(out)


def test_an_error_leaves_everything_as_it_was(tmp_path):
    write_folder(tmp_path / "a", old="1")
    with pytest.raises(KeyboardInterrupt), outputs.folder(tmp_path / "a") as folder:
        (folder / "half").write_text("half")
        raise KeyboardInterrupt
    with pytest.raises(OSError, match="full"), outputs.into(tmp_path) as partial:
        (partial / "half").write_text("half")
        raise OSError("full")
    assert contents(tmp_path) == {"a/inner/old": "1"}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_is_written_where_a_killed_process_with_the_same_number_left_half_of_it(tmp_path, monkeypatch):
    write_folder(tmp_path / "b", x="first")
    for kind in ("partial", "old"):
        (tmp_path / f".b.{kind}-{os.getpid()}").mkdir()
        (tmp_path / f".b.{kind}-{os.getpid()}" / "half").touch()
    # of the write above, which belongs to the killed process here
    monkeypatch.setattr(files, "_of_this_process", set())
    write_folder(tmp_path / "b", x="second")
    assert contents(tmp_path) == {"b/inner/x": "second"}
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_an_error_leaves_no_new_empty_folder(tmp_path):
    def fail(place, *others):
        with pytest.raises(UserError, match="too few"), outputs.into(tmp_path / place):
            for name in others:
                write(tmp_path / name)
            raise UserError("too few")

    fail("a/b")
    assert not (tmp_path / "a").exists()
    (tmp_path / "there").mkdir()
    fail("there")
    assert (tmp_path / "there").exists()
    fail("c/d", "c/other.txt")
    assert contents(tmp_path) == {"c/other.txt": "ours"}


def test_nothing_moves_where_one_name_is_taken(tmp_path):
    (tmp_path / "b.png").write_text("theirs")
    with pytest.raises(UserError, match=r"b\.png exists"), outputs.into(tmp_path) as partial:
        for name in ("a.csv", "b.png"):
            (partial / name).write_text("ours")
    assert contents(tmp_path) == {"b.png": "theirs"}


def test_a_file_that_is_added_while_a_folder_is_computed_is_kept(tmp_path):
    write_folder(tmp_path / "a", old="1")
    with pytest.raises(UserError, match=r"contains late\.txt"), outputs.folder(tmp_path / "a") as folder:
        (folder / "new").write_text("2")
        (tmp_path / "a" / "late.txt").write_text("theirs")
    assert contents(tmp_path) == {"a/inner/old": "1", "a/late.txt": "theirs"}


@pytest.mark.parametrize("text", ["", "[", "[]", '{"files": 3}', '{"files": {"a.txt": 5}}', "[" * 100_000])
def test_a_manifest_that_cannot_be_read_proves_nothing(tmp_path, text):
    write(tmp_path / "a.txt")
    (tmp_path / outputs.MANIFEST).write_text(text)
    with pytest.raises(UserError):
        write(tmp_path / "a.txt")


def test_a_process_that_is_killed_between_manifest_and_file_leaves_a_provable_file(tmp_path, monkeypatch):
    write(tmp_path / "a.txt", "first")
    real = os.replace

    def killed(source, target):
        if str(target).endswith("a.txt"):
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.txt", "second")
    monkeypatch.undo()
    assert contents(tmp_path) == {"a.txt": "first"}
    write(tmp_path / "a.txt", "third")
    assert contents(tmp_path) == {"a.txt": "third"}


def test_processes_that_write_side_by_side_all_leave_a_proof(tmp_path):
    threads = [threading.Thread(target=write, args=(tmp_path / f"{index}.txt",)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outputs.written(tmp_path)) == {f"{index}.txt" for index in range(8)}


def test_a_folder_is_intact_until_a_file_changes(tmp_path):
    write_folder(tmp_path / "a", x="1", y="2")
    assert outputs.intact(tmp_path / "a")
    (tmp_path / "a" / "inner" / "x").write_text("3")
    assert not outputs.intact(tmp_path / "a")
    assert not outputs.intact(tmp_path)
