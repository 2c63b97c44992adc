import multiprocessing
import os
import subprocess
import threading
import time

import filelock
import pytest

from keras_ae.errors import UserError
from keras_ae.files import beside, locked, recover, written_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_the_block_ends(tmp_path):
    with written_whole(tmp_path / "a.txt") as path:
        path.write_text("new")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(OSError, match="disk full"), written_whole(tmp_path / "a.txt") as path:
        path.write_text("half")
        raise OSError("disk full")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def hold(path, ready):
    with locked(path, "busy"):
        ready.set()
        time.sleep(60)


def test_a_lock_is_refused_while_its_process_lives_and_free_after_it_was_killed(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(tmp_path / "lock", ready))
    process.start()
    assert ready.wait(30)
    with pytest.raises(UserError, match="busy now"), locked(tmp_path / "lock", "busy now"):
        pass
    process.kill()
    process.join()
    with locked(tmp_path / "lock", "busy"):
        pass


def test_a_waiting_lock_says_so_once_and_follows_the_other(tmp_path, capsys):
    order, ready = [], threading.Event()

    def first():
        with locked(tmp_path / "lock", "busy"):
            ready.set()
            time.sleep(0.3)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert ready.wait(30)
    with locked(tmp_path / "lock", "waiting for the first", wait=True):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert capsys.readouterr().err == "waiting for the first\n"


def test_the_timeout_of_another_lock_inside_the_block_is_not_hidden(tmp_path):
    with pytest.raises(filelock.Timeout), locked(tmp_path / "lock", "busy"):
        raise filelock.Timeout(str(tmp_path / "other"))


def test_what_a_killed_process_moved_away_returns_and_what_was_not_complete_goes(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    for kind in ("old", "partial"):
        (tmp_path / f".a.{kind}-{ended.pid}").mkdir()
        (tmp_path / f".a.{kind}-{ended.pid}" / kind).touch()
    beside(tmp_path / "a", "partial").mkdir()
    recover(tmp_path / "a")
    assert names(tmp_path) == [f".a.partial-{os.getpid()}", "a"]
    assert names(tmp_path / "a") == ["old"]


def test_what_a_killed_process_with_the_number_of_this_one_left_goes_too(tmp_path):
    left = tmp_path / f".a.partial-{os.getpid()}"
    left.mkdir()
    recover(tmp_path / "a")
    assert not left.exists()
    beside(tmp_path / "a", "partial").mkdir()
    recover(tmp_path / "a")
    assert left.exists()
