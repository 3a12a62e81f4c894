"""The store: what is said stands, follows the SAE, can be taken back, and is never silently lost."""

from __future__ import annotations

import builtins
import errno
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from saewidgets.annotations import AnnotationStore, Pin, Rating, Target
from saewidgets.annotations import files as files_module
from saewidgets.errors import AnnotationError, StoreError

SEVEN = Target("feature", "gpt2", "blocks.1.hook_resid_post", "3f2a", 7)
EIGHT = Target("feature", "gpt2", "blocks.1.hook_resid_post", "3f2a", 8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def store(folder: Path) -> AnnotationStore:
    return AnnotationStore(folder, "ann", refresh_every=None)


def lines(folder: Path) -> list[str]:
    return [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text("ascii").splitlines()]


def test_reading_makes_nothing_on_disk(store, folder):
    assert not store.annotation(SEVEN)
    assert store.label(SEVEN) is None
    assert store.to_frame().empty
    assert store.problems == ()
    assert not folder.exists()


def test_what_is_said_stands_in_another_store(store, folder):
    store.annotate(SEVEN, " London ", "a note\nof two lines", ["place", "city"], stars=True, pin=("in London", 2))
    store.rate(SEVEN, 3)
    store.rate(SEVEN, 2, "bob")
    found = AnnotationStore(folder).annotation(SEVEN)
    assert (found.label, found.note, found.tags, found.stars) == (
        "London",
        "a note\nof two lines",
        ("city", "place"),
        ("ann",),
    )
    assert found.ratings == (Rating("ann", 3), Rating("bob", 2))
    assert found.pins == (Pin("in London", 2),)
    assert (found.author, found.starred) == ("ann", True)


def test_whole_numbers_of_numpy_and_torch_are_whole_numbers(store, folder):
    store.rate(SEVEN, np.int64(2))
    store.rate(SEVEN, torch.tensor(3), "bob")
    store.annotate(SEVEN, pin=("in London", np.array([0, 9, 1]).argmax()))
    for found in (store.annotation(SEVEN), AnnotationStore(folder).annotation(SEVEN)):
        assert found.ratings == (Rating("ann", 2), Rating("bob", 3))
        assert found.pins == (Pin("in London", 1),)


def test_what_is_not_given_stays_and_empty_text_clears(store):
    store.annotate(SEVEN, "London", "note")
    assert store.annotate(SEVEN, note="other").label == "London"
    assert store.annotate(SEVEN, label="").label is None
    assert store.annotation(SEVEN).note == "other"


def test_sets_add_and_remove(store):
    store.annotate(SEVEN, tags=["a", "b"], stars=True, pin=("x", 1))
    found = store.annotate(SEVEN, tags="c", untag=["a"], stars=False, unpin=("x", 1))
    assert (found.tags, found.stars, found.pins) == (("b", "c"), (), ())
    assert store.rate(SEVEN, 1).ratings == (Rating("ann", 1),)
    assert store.rate(SEVEN, None).ratings == ()


def test_it_follows_the_sae_whatever_model_and_sae_are_called(store):
    store.annotate(SEVEN, "London")
    assert store.label(Target("feature", "another name", SEVEN.hook, SEVEN.sae, 7)) == "London"
    assert store.label(Target("feature", "gpt2", "another hook", SEVEN.sae, 7)) is None
    assert store.label(Target("feature", "gpt2", SEVEN.hook, "another sae", 7)) is None
    assert store.label(EIGHT) is None


def test_every_kind_of_target(store, folder):
    targets = [
        SEVEN,
        Target("token", "gpt2", prompt="in Paris", position=2),
        Target("example", "gpt2", SEVEN.hook, SEVEN.sae, 7, "in Paris", 2),
        Target("ranking", "gpt2", prompt="in Paris", name="logit(' a') - logit(' b')"),
        Target("preset", "gpt2", name="calm"),
    ]
    for n, target in enumerate(targets):
        store.annotate(target, f"label {n}")
    again = AnnotationStore(folder)
    assert [again.label(target) for target in targets] == [f"label {n}" for n in range(5)]
    assert len(again.to_frame()) == 5
    assert [one.target for one in again.annotations("token")] == [targets[1]]


def test_one_call_is_one_line_in_ascii_with_sorted_keys(store, folder):
    store.annotate(SEVEN, "\u202eevil\x07", tags=["ä"])
    (line,) = lines(folder)
    assert "\\u202eevil\\u0007" in line
    assert line.startswith('{"author": "ann", "id": ')
    assert line.index('"op"') < line.index('"session"') < line.index('"target"') < line.index('"time"')
    assert store.label(SEVEN) == "\\u202eevil\\x07"
    assert store.annotation(SEVEN).label == "\u202eevil\x07"


class TestUndo:
    def test_it_takes_back_this_sessions_last_change_and_writes_a_record(self, store, folder):
        store.annotate(SEVEN, "London")
        store.annotate(SEVEN, "Paris", tags=["x"])
        before = lines(folder)
        assert store.undo() == SEVEN
        assert (store.annotation(SEVEN).label, store.annotation(SEVEN).tags) == ("London", ())
        assert lines(folder)[:2] == before
        assert store.undo() == SEVEN
        assert not store.annotation(SEVEN)
        assert store.undo() is None
        assert len(lines(folder)) == 4
        assert not AnnotationStore(folder).annotation(SEVEN)

    def test_what_others_said_since_stays(self, store, folder):
        store.annotate(SEVEN, "London")
        AnnotationStore(folder, "bob").annotate(SEVEN, "Rome")
        store.refresh()
        store.undo()
        assert store.label(SEVEN) == "Rome"

    def test_nobody_takes_back_what_another_session_said(self, store, folder):
        store.annotate(SEVEN, "London")
        other = AnnotationStore(folder, "bob")
        assert other.undo() is None
        with pytest.raises(AnnotationError, match="its own session"):
            other.write([(None, {"undo": store.events[0].id})])
        assert other.label(SEVEN) == "London"


class TestTwoKernels:
    def test_one_refresh_sees_what_the_other_wrote(self, store, folder):
        other = AnnotationStore(folder, "bob", refresh_every=None)
        assert other.label(SEVEN) is None
        store.annotate(SEVEN, "London")
        assert other.label(SEVEN) is None
        assert other.refresh() == {SEVEN}
        assert other.label(SEVEN) == "London"
        assert other.refresh() == frozenset()

    def test_a_read_looks_again_by_itself_when_the_last_look_is_old(self, store, folder):
        other = AnnotationStore(folder, "bob", refresh_every=0)
        assert other.label(SEVEN) is None
        store.annotate(SEVEN, "London")
        assert other.label(SEVEN) == "London"

    def test_the_later_wins_even_where_its_clock_is_behind(self, store, folder, monkeypatch):
        store.annotate(SEVEN, "London")
        other = AnnotationStore(folder, "bob")
        monkeypatch.setattr("saewidgets.annotations.store.time.time_ns", lambda: 0)
        other.annotate(SEVEN, "Paris")
        store.refresh()
        assert store.label(SEVEN) == other.label(SEVEN) == "Paris"

    def test_observers_hear_of_both_and_of_nothing_else(self, store, folder):
        heard: list[frozenset[Target]] = []
        end = store.observe(heard.append)
        store.annotate(SEVEN, "London")
        AnnotationStore(folder, "bob").annotate(EIGHT, "Paris")
        store.refresh()
        store.refresh()
        assert heard == [{SEVEN}, {EIGHT}]
        end()
        store.annotate(SEVEN, "Rome")
        assert len(heard) == 2

    def test_an_observer_that_fails_harms_neither_the_writer_nor_the_next(self, store):
        heard: list[frozenset[Target]] = []
        store.observe(lambda _: 1 / 0)
        store.observe(heard.append)
        with pytest.warns(RuntimeWarning, match="ZeroDivisionError"):
            store.annotate(SEVEN, "London")
        assert heard == [{SEVEN}]
        assert store.label(SEVEN) == "London"

    def test_an_observer_may_write_and_wait_for_another_thread_that_reads(self, store):
        seen: list[str | None] = []

        def react(_: frozenset[Target]) -> None:
            reader = threading.Thread(target=lambda: seen.append(store.label(SEVEN)))
            reader.start()
            reader.join(30)
            if store.label(EIGHT) is None:
                store.annotate(EIGHT, "too")

        store.observe(react)
        store.annotate(SEVEN, "London")
        assert seen == ["London", "London"]
        assert store.label(EIGHT) == "too"

    def test_threads_lose_nothing(self, store, folder):
        def write(name: str) -> None:
            for n in range(50):
                store.annotate(Target("feature", "gpt2", "h", "s", n), tags=[name])

        threads = [threading.Thread(target=write, args=(f"t{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        again = AnnotationStore(folder)
        assert len(again) == 200
        assert {one.tags for one in again.annotations()} == {("t0", "t1", "t2", "t3")}


class TestDisk:
    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
    def test_what_cannot_be_saved_says_so_and_is_saved_later(self, store, folder, monkeypatch, code):
        store.annotate(SEVEN, "London")
        before = lines(folder)

        def refuse(*_):
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(files_module.os, "write", refuse)
        with pytest.raises(StoreError, match=rf"was not saved(?s:.*){os.strerror(code)}"):
            store.annotate(SEVEN, "Paris")
        assert (store.label(SEVEN), store.unsaved) == ("Paris", 1)
        assert lines(folder) == before
        monkeypatch.undo()
        store.save()
        assert store.unsaved == 0
        assert AnnotationStore(folder).label(SEVEN) == "Paris"
        assert len(lines(folder)) == 2

    def test_a_disk_that_fills_up_within_a_record_leaves_the_file_whole(self, store, folder, monkeypatch):
        store.annotate(SEVEN, "London")
        real, room = os.write, iter([20])

        def few(descriptor: int, data: bytes) -> int:
            size = next(room, 0)
            if not size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(descriptor, data[:size])

        monkeypatch.setattr(files_module.os, "write", few)
        with pytest.raises(StoreError, match="was not saved"):
            store.annotate(SEVEN, "Paris")
        assert len(lines(folder)) == 1
        monkeypatch.undo()
        store.annotate(SEVEN, tags=["x"])
        again = AnnotationStore(folder)
        assert (again.label(SEVEN), again.problems, len(again)) == ("Paris", (), 3)

    def test_a_disk_that_cannot_even_cut_off_a_torn_record_costs_no_other(self, store, folder, monkeypatch):
        store.annotate(SEVEN, "London")
        real = os.write
        monkeypatch.setattr(files_module.os, "write", lambda d, data: real(d, data[:20]) and _full())
        monkeypatch.setattr(files_module.os, "ftruncate", lambda *_: _full())
        with pytest.raises(StoreError):
            store.annotate(SEVEN, "Paris")
        monkeypatch.undo()
        store.save()
        again = AnnotationStore(folder)
        assert (again.label(SEVEN), len(again)) == ("Paris", 2)
        assert [problem.line for problem in again.problems] == [2]

    def test_the_full_device(self, tmp_path):
        if not Path("/dev/full").exists():
            pytest.skip("no /dev/full")
        with pytest.raises(OSError, match="No space"):
            files_module._write_whole(os.open("/dev/full", os.O_WRONLY), b"x", 0)

    def test_a_folder_that_is_a_file(self, folder):
        folder.write_text("x")
        store = AnnotationStore(folder)
        assert store.label(SEVEN) is None
        assert len(store.problems) == 1
        with pytest.raises(StoreError, match="cannot be read"):
            store.refresh()
        with pytest.raises(StoreError, match="not saved"):
            store.annotate(SEVEN, "London")
        store.move(folder.parent / "other")
        assert AnnotationStore(folder.parent / "other").label(SEVEN) == "London"

    def test_a_record_is_synced_before_the_call_returns(self, store, monkeypatch):
        synced: list[int] = []
        monkeypatch.setattr(files_module.os, "fsync", synced.append)
        store.annotate(SEVEN, "London")
        assert len(synced) == 2  # the record, and the name of the new file
        store.annotate(SEVEN, "Paris")
        assert len(synced) == 3

    def test_a_file_that_somebody_else_changed_is_left_alone(self, store, folder):
        store.annotate(SEVEN, "London")
        store.annotate(SEVEN, tags=["x"])
        (path,) = folder.glob("*.jsonl")
        text = path.read_bytes().split(b"\n")[0] + b"\n"
        path.unlink()
        path.write_bytes(text)  # as git checkout of an earlier commit does
        store.annotate(SEVEN, "Paris")
        assert path.read_bytes() == text
        assert len(list(folder.glob("*.jsonl"))) == 2
        assert AnnotationStore(folder).label(SEVEN) == "Paris"

    def test_what_leaves_the_folder_leaves_the_state(self, store, folder):
        other = AnnotationStore(folder, "bob")
        other.annotate(SEVEN, "London")
        other.annotate(EIGHT, "Paris")
        store.annotate(SEVEN, tags=["x"])
        (path,) = (path for path in folder.glob("*.jsonl") if other.session in path.name)
        path.unlink()
        assert store.refresh() == {SEVEN, EIGHT}
        assert (store.label(SEVEN), store.annotation(SEVEN).tags) == (None, ("x",))
        shutil.rmtree(folder)
        store.refresh()
        assert not store.annotation(SEVEN)
        store.annotate(SEVEN, "again")
        assert AnnotationStore(folder).label(SEVEN) == "again"

    def test_an_edited_file_is_read_anew(self, store, folder):
        other = AnnotationStore(folder, "bob")
        other.annotate(SEVEN, "London")
        store.refresh()
        (path,) = folder.glob("*.jsonl")
        with path.open("r+b") as file:  # the same inode, other text, longer
            text = file.read().replace(b"London", b"Westminster")
            file.seek(0)
            file.write(text)
        store.refresh()
        assert (store.label(SEVEN), store.problems) == ("Westminster", ())

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
    def test_a_forked_process_is_a_session_of_its_own(self, store, folder):
        store.annotate(SEVEN, "London")
        child = os.fork()
        if not child:
            store.annotate(EIGHT, "Paris")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        store.annotate(SEVEN, "Rome")
        assert len(list(folder.glob("*.jsonl"))) == 2
        again = AnnotationStore(folder)
        assert (again.label(SEVEN), again.label(EIGHT), len(again)) == ("Rome", "Paris", 3)


def _full() -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class TestRefused:
    @pytest.mark.parametrize(
        ("what", "match"),
        [
            ({"label": "x" * 1001}, "too long"),
            ({"label": "two\nlines"}, "one line"),
            ({"label": "half \ud800"}, "not valid Unicode"),
            ({"label": 5}, "is text"),
            ({"label": b"x"}, "is text"),
            ({"note": np.zeros(2)}, "is text"),
            ({"note": "x" * 100_001}, "too long"),
            ({"tags": ["a;b"]}, "without ';'"),
            ({"tags": [" "]}, "one line"),
            ({"tags": 5}, "is text"),
            ({"pin": "text"}, "no position"),
            ({"pin": ("text", -1)}, "no position"),
            ({"pin": ("text", np.True_)}, "no position"),
            ({}, "Nothing was said"),
        ],
    )
    def test_what_cannot_be_kept(self, store, folder, what, match):
        with pytest.raises(AnnotationError, match=match):
            store.annotate(SEVEN, **what)
        assert not store.annotation(SEVEN)
        assert not folder.exists()

    @pytest.mark.parametrize("score", [4, -1, 2.5, True, "3", float("nan"), np.True_, np.float32(1), np.int64(4), [1]])
    def test_scores(self, store, score):
        with pytest.raises(AnnotationError, match="no specificity rating"):
            store.rate(SEVEN, score)

    @pytest.mark.parametrize("name", ["", "a;b", "a=b", 5, "\ud800", b"x", ["x"]])
    def test_names(self, store, folder, name):
        with pytest.raises(AnnotationError):
            AnnotationStore(folder, name)
        with pytest.raises(AnnotationError):
            store.rate(SEVEN, 1, name)

    def test_a_record_that_is_too_long(self, store):
        with pytest.raises(AnnotationError, match="too much for one record"):
            store.annotate(SEVEN, tags=[f"{n} {'é' * 990}" for n in range(1000)])

    def test_a_batch_is_written_as_a_whole_or_not_at_all(self, store, folder):
        with pytest.raises(AnnotationError):
            store.write([(SEVEN, {"set": {"label": "London"}}), (EIGHT, {"set": {"label": 5}})])
        assert not store.annotation(SEVEN)
        assert not folder.exists()

    @pytest.mark.parametrize(
        "parts",
        [
            {"kind": "feature"},
            {"kind": "model", "model": "gpt2"},
            {"kind": "token", "model": "m", "prompt": "x", "position": True},
            {"kind": "token", "model": "m", "prompt": "x", "position": 1.0},
            {"kind": "token", "model": "m", "prompt": "x", "position": 1, "feature": 3},
            {"kind": "preset", "model": "m", "name": "n", "path": "../../x"},
            {"kind": "preset", "model": "m" * 1001, "name": "n"},
            {"kind": []},
            {"kind": "preset", "name": {"a": 1}},
            [],
        ],
    )
    def test_targets_from_a_stranger(self, parts):
        with pytest.raises(AnnotationError):
            Target.from_json(parts)


def test_author_from_the_environment(folder, monkeypatch):
    monkeypatch.setenv("SAEWIDGETS_AUTHOR", "cy;d")
    assert AnnotationStore(folder).author == "cyd"
    monkeypatch.setenv("SAEWIDGETS_AUTHOR", " " + "a" * 99 + " b")
    assert AnnotationStore(folder).author == "a" * 99
    monkeypatch.delenv("SAEWIDGETS_AUTHOR")
    monkeypatch.setattr("getpass.getuser", lambda: (_ for _ in ()).throw(builtins.KeyError("no such user")))
    assert AnnotationStore(folder).author == "somebody"
