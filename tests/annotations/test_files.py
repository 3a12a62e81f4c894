"""What can be on disk: torn, broken, newer and hostile lines are reported and kept, and the rest is read."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saewidgets.annotations import AnnotationStore, Target, check, merge
from saewidgets.annotations import files as files_module
from saewidgets.annotations import records as records_module
from saewidgets.annotations.files import BOM, FILE_LIMIT
from saewidgets.annotations.records import LINE_LIMIT, BadLineError, make_event, microseconds_of, read_line, time_of
from saewidgets.errors import StoreError

SEVEN = Target("feature", "gpt2", "blocks.1.hook_resid_post", "3f2a", 7)
SESSION = "0123456789ab"


def line(n: int = 1, **op) -> bytes:
    time = f"2026-01-01T00:00:{n:02d}.000000Z"
    return make_event(SESSION, n, time, "eve", SEVEN, op or {"set": {"label": f"label {n}"}}).line


def data(**changes) -> bytes:
    return json.dumps({**json.loads(line()), **changes}).encode() + b"\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


def test_cut_at_every_byte_of_the_last_record(folder):
    whole = [line(1), line(2), line(3, set={"label": "Zürich \u202e"})]
    path = folder / "a.jsonl"
    for cut in range(len(whole[2])):
        path.write_bytes(whole[0] + whole[1] + whole[2][:cut])
        store = AnnotationStore(folder)
        complete = cut == len(whole[2]) - 1  # all but the line's end
        assert store.label(SEVEN) == ("Zürich \\u202e" if complete else "label 2"), cut
        problems = [(problem.file, problem.line) for problem in store.problems]
        assert problems == ([] if complete or not cut else [("a.jsonl", 3)]), cut


def test_a_record_that_is_being_written_is_read_when_it_is_whole(folder):
    path = folder / "a.jsonl"
    text = line(1) + line(2)
    store = AnnotationStore(folder, refresh_every=0)
    for end in sorted({*range(0, len(text), 20), len(line(1)) - 1, len(line(1)), len(text) - 1, len(text)}):
        path.write_bytes(text[:end])
        assert len(store) == (end >= len(line(1)) - 1) + (end >= len(text) - 1)
    assert store.problems == ()
    with path.open("ab") as file:
        file.write(line(3))
    assert store.label(SEVEN) == "label 3"


BROKEN = {
    "not JSON": (b"{oops\n", "not a record"),
    "a conflict of git": (b"<<<<<<< HEAD\n", "not a record"),
    "no UTF-8": (b"\xff\xfe\n", "not a record"),
    "NaN": (data().replace(b'"version": 1', b'"version": NaN'), "the number NaN"),
    "a key twice": (data().replace(b'{"author"', b'{"author": "x", "author"'), "a key stands twice"),
    "deep": (b"[" * 100_000 + b"\n", "nested too deeply"),
    "deep in a value": (
        b'{"version": 1, "op": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001 + b"\n",
        "nested too deeply",
    ),
    "a long number": (b'{"version": ' + b"9" * 5_000 + b"}\n", "not a record"),
    "a list": (b"[]\n", "a JSON list"),
    "no version": (b"{}\n", "no version"),
    "version True": (data(version=True), "no version"),
    "version text": (data(version="1"), "no version"),
    "newer": (data(version=2, op={"fly": 1}), "newer version (2)"),
    "unknown operation": (data(op={"delete": {"label": "x"}}), "no such operation"),
    "unknown field": (data(op={"set": {"__class__": "x"}}), "no such field"),
    "unknown part": (data(path="../../x"), "unknown part"),
    "unknown part of a target": (data(target={"kind": "preset", "name": "n", "file": "/etc"}), "unknown part"),
    "no operation": (data(op={}), "says what was done"),
    "label of a wrong type": (data(op={"set": {"label": ["x"]}}), "is text"),
    "half a surrogate": (data(op={"set": {"label": "\ud800"}}), "not valid Unicode"),
    "rating too high": (data(op={"rate": {"eve": 4}}), "no specificity rating"),
    "rating True": (data(op={"rate": {"eve": True}}), "no specificity rating"),
    "feature as text": (data(target={**SEVEN.to_json(), "feature": "7"}), "no feature"),
    "feature below 0": (data(target={**SEVEN.to_json(), "feature": -1}), "no feature"),
    "id of another session": (data(id="ffffffffffff-1"), "begins with its session"),
    "id as a path": (data(id="../../etc-1", session="../../etc"), "no id"),
    "time of another form": (data(time="yesterday"), "no time"),
    "a day that is not": (data(time="2026-02-31T00:00:00.000000Z"), "no such day"),
    "a year too far": (data(time="9999-01-01T00:00:00.000000Z"), "no time"),
    "the last moment of the format": (data(time="2199-12-31T23:59:59.999999Z"), "more than 50 years ahead"),
    "undo of another session": (data(op={"undo": "ffffffffffff-1"}, target=None), "own session"),
    "undo and more": (data(op={"undo": f"{SESSION}-1", "set": {}}, target=None), "nothing else"),
    "a label of 10 MB": (data(op={"set": {"label": "x" * 10_000_000}}), "longer than 1,000,000 bytes"),
    "a label too long": (data(op={"set": {"label": "x" * 1_001}}), "too long"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_line_is_reported_with_its_number_and_stays(folder, what):
    text, reason = BROKEN[what]
    path = folder / "stranger.jsonl"
    content = line(1) + text + b"\n" + line(3)
    path.write_bytes(content)
    store = AnnotationStore(folder)
    assert store.label(SEVEN) == "label 3"
    found = [problem for problem in store.problems if problem.line == 2]
    assert len(found) == 1
    assert found[0].file == "stranger.jsonl"
    assert reason in found[0].reason
    assert "\n" not in str(found[0])
    assert len(str(found[0])) < 500
    store.annotate(SEVEN, "mine")
    assert path.read_bytes() == content
    assert check(folder).problems == store.problems


def assert_read_or_reason(text: bytes) -> None:
    """Any other error than the one that gives a reason fails the test."""
    with contextlib.suppress(BadLineError):
        read_line(text)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
def test_any_bytes_are_a_record_or_a_reason(text):
    assert_read_or_reason(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["set", "add", "remove", "rate", "explain", "undo", "label", "tags", "pins", "kind"])
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["author", "id", "op", "session", "target", "time", "version"]), JSON)
def test_any_value_in_any_place_is_a_record_or_a_reason(part, value):
    changed = {**json.loads(line()), part: value}
    assert_read_or_reason(json.dumps(changed).encode() + b"\n")


@settings(deadline=None, max_examples=60)
@given(JSON)
def test_any_operation_is_a_record_or_a_reason(value):
    for verb in ("set", "add", "remove", "rate", "explain"):
        assert_read_or_reason(data(op={verb: value}))


class TestTimes:
    @pytest.mark.parametrize("time", ["2199-12-31T23:59:59.999999Z", "2070-01-01T00:00:00.000000Z"])
    def test_what_a_person_says_now_wins_over_any_time_that_is_read(self, folder, time):
        last = make_event("f" * 12, 999_999_999_999, time, "eve", SEVEN, {"set": {"label": "frozen"}})
        (folder / "eve.jsonl").write_bytes(last.line)
        store = AnnotationStore(folder, "ann")
        assert store.annotate(SEVEN, "mine").label == "mine"
        assert AnnotationStore(folder).label(SEVEN) == "mine"
        assert store.annotate(SEVEN, label="").label is None

    def test_fifty_years_ahead_of_the_clock_is_read_and_no_more(self, monkeypatch):
        clock = microseconds_of("2090-01-01T00:00:00.000000Z")
        monkeypatch.setattr(records_module, "time_ns", lambda: clock * 1000)
        last = clock + 50 * 8_766 * 3_600 * 10**6
        assert time_of(last) == "2140-01-02T12:00:00.000000Z"
        assert read_line(data(time=time_of(last))).time == time_of(last)
        with pytest.raises(BadLineError, match="50 years ahead"):
            read_line(data(time=time_of(last + 1)))

    def test_a_clock_that_stands_in_1970_reads_todays_records(self, monkeypatch):
        monkeypatch.setattr(records_module, "time_ns", lambda: 0)
        assert read_line(data(time="2075-12-31T23:59:59.999999Z"))
        with pytest.raises(BadLineError, match="50 years ahead"):
            read_line(data(time="2076-01-01T00:00:00.000000Z"))

    def test_the_last_moment_of_the_format_is_not_passed(self):
        assert time_of(microseconds_of("2199-12-31T23:59:59.999999Z") + 1) == "2199-12-31T23:59:59.999999Z"


class TestFullFiles:
    """A session goes on in another file before one is larger than what is read of it."""

    LIMIT = 1_000

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        monkeypatch.setattr(files_module, "FILE_LIMIT", self.LIMIT)

    def assert_all_read(self, folder: Path, records: int) -> None:
        assert max(path.stat().st_size for path in folder.iterdir()) <= self.LIMIT
        again = AnnotationStore(folder)
        assert (len(again), again.problems) == (records, ())
        assert len(again.annotation(SEVEN).tags) == records

    def test_one_by_one(self, folder):
        store = AnnotationStore(folder)
        for n in range(10):
            store.annotate(SEVEN, tags=[f"t{n}"])
        self.assert_all_read(folder, 10)
        length = max(len(event.line) for event in store.events)
        assert len(list(folder.iterdir())) == -(-10 // (self.LIMIT // length))

    def test_an_import_that_is_larger_than_a_file(self, folder):
        store = AnnotationStore(folder)
        store.annotate(SEVEN, tags=["before"])
        store.write([(SEVEN, {"add": {"tags": [f"t{n}"]}}) for n in range(20)])
        store.annotate(SEVEN, tags=["after"])
        self.assert_all_read(folder, 22)

    def test_a_disk_that_is_full_after_the_first_file_keeps_the_rest_in_memory(self, folder, monkeypatch):
        store, real, room = AnnotationStore(folder), os.write, iter([True])

        def once(descriptor: int, text: bytes) -> int:
            if not next(room, False):
                raise OSError(28, "No space left on device")
            return real(descriptor, text)

        monkeypatch.setattr(files_module.os, "write", once)
        with pytest.raises(StoreError, match="not saved"):
            store.write([(SEVEN, {"add": {"tags": [f"t{n}"]}}) for n in range(9)])
        (path,) = folder.iterdir()
        first = len(path.read_bytes().splitlines())
        assert (0 < first < 9, store.unsaved) == (True, 9 - first)
        monkeypatch.setattr(files_module.os, "write", real)
        store.save()
        self.assert_all_read(folder, 9)

    def test_merging_two_states_and_what_was_too_large_already(self, folder, tmp_path):
        other = tmp_path / "other"
        other.mkdir()
        tags = [line(n, add={"tags": [f"t{n}"]}) for n in range(1, 10)]
        (folder / "x.jsonl").write_bytes(b"".join(tags[:3]))
        (other / "x.jsonl").write_bytes(b"".join(tags[:1] + tags[3:5]))
        (other / "y.jsonl").write_bytes(b"".join(tags))  # as one that somebody joined from two
        assert [problem.file for problem in check(other).problems] == ["y.jsonl"]
        report = merge([folder, other], tmp_path / "out")
        assert (report.records, report.problems) == (9, ())
        self.assert_all_read(tmp_path / "out", 9)
        names = ["x.jsonl", "x_more.jsonl", "y.jsonl", "y_more.jsonl", "y_more_more.jsonl"]
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


class TestStrangersFolder:
    def test_links_and_what_is_no_plain_file_are_not_read(self, folder, tmp_path):
        outside = tmp_path / "outside.jsonl"
        outside.write_bytes(line())
        (folder / "link.jsonl").symlink_to(outside)
        (folder / "gone.jsonl").symlink_to(tmp_path / "nowhere")
        (folder / "folder.jsonl").mkdir()
        if hasattr(os, "mkfifo"):
            os.mkfifo(folder / "pipe.jsonl")
        (folder / "readme.txt").write_text("not ours")
        store = AnnotationStore(folder)
        assert len(store) == 0
        names = {problem.file for problem in store.problems}
        assert {"link.jsonl", "gone.jsonl", "folder.jsonl"} <= names <= {*names, "pipe.jsonl"}
        assert outside.read_bytes() == line()

    def test_a_file_that_is_too_large_is_read_up_to_the_limit(self, folder):
        with (folder / "a.jsonl").open("wb") as file:
            file.write(line())
            file.truncate(FILE_LIMIT + 2 * LINE_LIMIT)
        store = AnnotationStore(folder)
        assert store.label(SEVEN) == "label 1"
        assert len(store.problems) == 1

    def test_ten_thousand_broken_lines_do_not_hide_the_good_one(self, folder):
        (folder / "a.jsonl").write_bytes(b"x\n" * 10_000 + line())
        store = AnnotationStore(folder)
        assert store.label(SEVEN) == "label 1"
        assert len(store.problems) == 10_000

    def test_a_file_name_that_is_no_text_in_messages(self, folder):
        (folder / "a\u202e\n.jsonl").write_bytes(b"x\n")
        (problem,) = AnnotationStore(folder).problems
        assert str(problem).startswith("a\\u202e\\n.jsonl, line 1: ")

    def test_a_script_in_a_label_is_text(self, folder):
        store = AnnotationStore(folder)
        store.annotate(SEVEN, "<script>alert(1)</script>")
        assert AnnotationStore(folder).label(SEVEN) == "<script>alert(1)</script>"

    def test_blank_lines_and_a_mark_of_the_byte_order_are_no_problem(self, folder):
        path = folder / "a.jsonl"
        path.write_bytes(BOM + line(1) + b"\n \r\n" + line(2) + b"\n ")
        store = AnnotationStore(folder, refresh_every=0)
        assert (len(store), store.label(SEVEN), store.problems) == (2, "label 2", ())
        with path.open("ab") as file:
            file.write(b"\n" + line(3) + b"{oops\n")
        assert (len(store), store.label(SEVEN)) == (3, "label 3")
        assert [problem.line for problem in store.problems] == [8]

    def test_a_file_that_goes_while_the_folder_is_listed_takes_no_other_along(self, folder, tmp_path, monkeypatch):
        (folder / "a.jsonl").write_bytes(line(1))
        real = os.scandir

        def listing(path):
            (Path(path) / "gone.jsonl").write_bytes(line(2))
            with real(path) as entries:
                found = list(entries)
            (Path(path) / "gone.jsonl").unlink()
            return contextlib.nullcontext(found)

        monkeypatch.setattr(files_module.os, "scandir", listing)
        store = AnnotationStore(folder)
        assert (store.label(SEVEN), store.problems) == ("label 1", ())
        assert check(folder).records == 1
        monkeypatch.undo()
        monkeypatch.setattr("saewidgets.annotations.merging.listed", lambda _: ({"gone.jsonl": folder.stat()}, []))
        with pytest.raises(StoreError, match="cannot be read"):
            merge([folder], tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_line_ends_of_another_system(self, folder):
        (folder / "a.jsonl").write_bytes((line(1) + line(2)).replace(b"\n", b"\r\n"))
        store = AnnotationStore(folder)
        assert (store.label(SEVEN), store.problems) == ("label 2", ())
