"""Where a store is: one for each folder, moved as a whole or not at all, and what happens when its files go."""

from __future__ import annotations

from pathlib import Path

import pytest

from saewidgets.annotations import AnnotationStore, Target, open_store
from saewidgets.annotations import files as files_module
from saewidgets.errors import AnnotationError, StoreError

SEVEN = Target("feature", "gpt2", "h", "s", 7)
EIGHT = Target("feature", "gpt2", "h", "s", 8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def store(folder: Path) -> AnnotationStore:
    return AnnotationStore(folder, "ann", refresh_every=0)


def refuse(*_):
    raise OSError(28, "No space left on device")


class TestOneStoreForEachFolder:
    def test_by_whatever_path(self, tmp_path, folder, monkeypatch):
        store = open_store(folder)
        monkeypatch.chdir(tmp_path)
        assert open_store("notes") is open_store(str(folder)) is store
        assert open_store(tmp_path / "a" / ".." / "notes") is store
        folder.mkdir()
        (tmp_path / "link").symlink_to("notes")
        assert open_store("link") is store
        assert open_store("other") is not store

    def test_one_that_moved_is_that_of_its_new_folder(self, tmp_path, folder):
        store = open_store(folder)
        store.annotate(SEVEN, "before")
        store.move(tmp_path / "new")
        assert open_store(tmp_path / "new") is store
        again = open_store(folder)
        assert again is not store
        again.annotate(EIGHT, "here")
        assert AnnotationStore(folder).label(EIGHT) == "here"
        assert not (tmp_path / "new").exists()

    def test_one_that_moves_to_where_another_is_does_not_replace_it(self, tmp_path, folder):
        first, second = open_store(folder), open_store(tmp_path / "other")
        second.move(folder)
        assert open_store(folder) is first


class TestMove:
    def test_what_was_not_saved_goes_along_and_what_is_there_is_heard_of(self, tmp_path, folder, store, monkeypatch):
        AnnotationStore(tmp_path / "new", "bob").annotate(EIGHT, "there")
        store.annotate(SEVEN, "stays")
        monkeypatch.setattr(files_module.os, "write", refuse)
        with pytest.raises(StoreError):
            store.annotate(SEVEN, note="goes along")
        monkeypatch.undo()
        heard: list[frozenset[Target]] = []
        end = store.observe(heard.append)
        store.move(tmp_path / "new")
        end()
        assert (heard, store.unsaved) == ([{SEVEN, EIGHT}], 0)
        there = AnnotationStore(tmp_path / "new")
        assert (there.label(SEVEN), there.annotation(SEVEN).note, there.label(EIGHT)) == (None, "goes along", "there")
        assert AnnotationStore(folder).label(SEVEN) == "stays"

    def test_to_where_no_folder_can_be_it_stays(self, tmp_path, folder, store):
        store.annotate(SEVEN, "London")
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match="cannot be read"):
            store.move(tmp_path / "file")
        assert (store.folder, store.label(SEVEN)) == (folder, "London")
        store.annotate(SEVEN, "Paris")
        assert AnnotationStore(folder).label(SEVEN) == "Paris"

    def test_to_where_it_cannot_write_it_stays_with_what_was_not_saved(self, tmp_path, folder, store, monkeypatch):
        monkeypatch.setattr(files_module.os, "write", refuse)
        for say in (lambda: store.annotate(SEVEN, "London"), lambda: store.move(tmp_path / "new")):
            with pytest.raises(StoreError, match="was not saved"):
                say()
        assert (store.folder, store.label(SEVEN), store.unsaved) == (folder, "London", 1)
        monkeypatch.undo()
        store.save()
        assert (AnnotationStore(folder).label(SEVEN), store.unsaved) == ("London", 0)


class TestUndoOfWhatIsGone:
    def test_after_a_move_nothing_that_stayed_behind_is_taken_back(self, tmp_path, store):
        store.annotate(SEVEN, "London")
        store.move(tmp_path / "new")
        assert store.undo() is None
        store.annotate(EIGHT, "Paris")
        assert (store.undo(), store.undo()) == (EIGHT, None)

    def test_a_file_that_went_and_came_back(self, folder, store):
        store.annotate(SEVEN, "London")
        store.annotate(EIGHT, "Paris")
        (path,) = folder.iterdir()
        text = path.read_bytes()
        path.unlink()
        assert store.label(SEVEN) is None
        assert store.undo() is None
        path.write_bytes(text.splitlines(keepends=True)[0])
        assert store.label(SEVEN) == "London"
        assert store.undo() == SEVEN
        assert store.undo() is None
        path.write_bytes(text)
        assert store.label(EIGHT) == "Paris"
        assert store.undo() == EIGHT


@pytest.mark.parametrize("name", ["a\0b", "~nobody_has_this_name/notes"])
def test_a_name_that_no_folder_can_have(name):
    with pytest.raises(AnnotationError, match="no name of a file"):
        open_store(name)


@pytest.mark.parametrize("ask", ["annotations", "agreement", "export"])
def test_a_kind_that_is_none_is_refused_and_no_file_is_touched(ask, tmp_path):
    store, kept = open_store(tmp_path / "notes"), tmp_path / "kept.csv"
    kept.write_text("kept")
    given = {"annotations": (), "agreement": ("ann", "bob"), "export": (kept,)}[ask]
    with pytest.raises(AnnotationError, match="feature, token, example, ranking, preset"):
        getattr(store, ask)(*given, kind="features")
    assert kept.read_text() == "kept"
