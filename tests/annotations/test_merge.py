"""Merging: in any order, any number of times, by the program, by copying files and by git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saewidgets.annotations import AnnotationStore, Target, check, merge
from saewidgets.annotations.files import BOM
from saewidgets.annotations.fold import Fold
from saewidgets.annotations.merging import _union
from saewidgets.annotations.records import BadLineError, Event, make_event, read_line
from saewidgets.errors import StoreError

TARGETS = [Target("feature", "gpt2", "h", "s", n) for n in range(2)] + [Target("preset", "gpt2", name="calm")]
SEVEN = Target("feature", "gpt2", "h", "s", 7)
NAMES = st.sampled_from(["ann", "bob"])
TAGS = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2)
OPERATIONS = st.one_of(
    st.builds(lambda text: {"set": {"label": text}}, st.none() | st.text("xyz", max_size=2)),
    st.builds(lambda text: {"set": {"note": text}}, st.none() | st.text("xyz", max_size=2)),
    st.builds(lambda tags: {"add": {"tags": tags}}, TAGS),
    st.builds(lambda tags: {"remove": {"tags": tags}}, TAGS),
    st.builds(lambda name, score: {"rate": {name: score}}, NAMES, st.none() | st.integers(0, 3)),
    st.builds(lambda name: {"add": {"stars": [name]}}, NAMES),
    st.builds(lambda name: {"explain": {"Neuronpedia": name}}, st.none() | NAMES),
)


# Records of a few sessions at few moments, so that ties are common; one id may even stand for two contents.
RECORDS = st.tuples(
    st.sampled_from(["aaaaaaaaaaaa", "bbbbbbbbbbbb"]), st.integers(1, 4), st.integers(0, 2), NAMES,
    st.sampled_from(TARGETS), OPERATIONS | st.integers(1, 4),
)  # fmt: skip


def made(records) -> list[Event]:
    """The events; where a number stands for an operation, they take back the record of that number."""
    found = []
    for session, number, second, author, target, op in records:
        undo = isinstance(op, int)
        done = {"undo": f"{session}-{op}"} if undo else op
        time = f"2026-01-01T00:00:0{second}.000000Z"
        found.append(make_event(session, number, time, author, None if undo else target, done))
    return found


def state(found) -> list:
    return Fold(found).values()


@settings(deadline=None, max_examples=30)
@given(st.lists(RECORDS, max_size=12), st.randoms())
def test_order_makes_no_difference(records, random):
    found = made(records)
    other = found[:]
    random.shuffle(other)
    assert state(other) == state(found)


@settings(deadline=None, max_examples=30)
@given(st.lists(RECORDS, max_size=8), st.lists(RECORDS, max_size=8), st.lists(RECORDS, max_size=8))
def test_merging_is_commutative_associative_and_idempotent(a, b, c):
    def joined(x, y):
        return Fold([*x.events, *y.events])

    a, b, c = (Fold(made(each)) for each in (a, b, c))
    assert joined(a, b).values() == joined(b, a).values()
    assert joined(joined(a, b), c).values() == joined(a, joined(b, c)).values()
    assert joined(a, a).values() == a.values()


@settings(deadline=None, max_examples=30)
@given(st.lists(RECORDS, max_size=12))
def test_one_by_one_is_as_all_at_once(records):
    """With a look at the state in between, which is kept for the next look."""
    fold, found = Fold(), made(records)
    for event in found:
        fold.add(event)
        fold.values()
    assert fold.values() == state(found)


@settings(deadline=None, max_examples=30)
@given(RECORDS)
def test_a_line_is_read_as_it_was_written(record):
    (event,) = made([record])
    assert read_line(event.line) == event


def union(*states: bytes) -> bytes:
    return _union(set(states))


def read(text: bytes) -> tuple[set[Event], int]:
    """The records of a file, and how many of its lines are none."""
    events, broken = set(), 0
    for line in text.removeprefix(BOM).split(b"\n"):
        try:
            events |= {read_line(line + b"\n")} if line else set()
        except BadLineError:
            broken += 1
    return events, broken


@st.composite
def copies(draw) -> list[bytes]:
    """A file, and copies of it: lines left out, line ends and the mark of another system, cut anywhere."""
    lines = [event.line for event in made(draw(st.lists(RECORDS, max_size=4)))] + draw(st.just([]) | st.just([b"?{\n"]))
    found = [b"".join(lines)]
    for _ in range(3):
        text = b"".join(line for line in lines if draw(st.integers(0, 3)))
        text = text.replace(b"\n", b"\r\n") if draw(st.booleans()) else text
        text = text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text
        found.append(BOM + text if draw(st.booleans()) else text)
    return found


@settings(deadline=None, max_examples=150)
@given(copies())
def test_copies_of_a_file_merge_in_any_order_whatever_became_of_them(found):
    full, a, b, c = found
    assert union(union(a, b), c) == union(a, union(b, c)) == union(a, b, c)
    assert union(union(a, b), b) == union(a, b)
    assert read(union(a, b, c))[0] == read(a)[0] | read(b)[0] | read(c)[0]
    assert read(union(*found)) == read(full)


def test_the_last_writer_wins_field_by_field_and_ties_are_broken():
    def event(session, number, second, op):
        return make_event(session * 12, number, f"2026-01-01T00:00:0{second}.000000Z", session, SEVEN, op)

    found = [
        event("a", 1, 1, {"set": {"label": "old", "note": "kept"}}),
        event("b", 1, 2, {"set": {"label": "new"}, "add": {"tags": ["x"]}}),
        event("a", 9, 3, {"add": {"tags": ["y"]}}),
        event("a", 10, 3, {"remove": {"tags": ["y"]}}),
        event("b", 2, 4, {"rate": {"ann": 1}}),
        event("c", 2, 4, {"rate": {"ann": 2, "bob": 0}}),
    ]
    for order in [found[n:] + found[:n] for n in range(6)] + [found[::-1]]:
        (one,) = state(order)
        assert (one.label, one.note, one.tags) == ("new", "kept", ("x",))
        assert dict(one.ratings) == {"ann": 2, "bob": 0}


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    a, b = tmp_path / "a", tmp_path / "b"
    AnnotationStore(a, "ann").annotate(SEVEN, "London", tags=["ann"])
    AnnotationStore(b, "bob").annotate(SEVEN, "Paris", tags=["bob"])
    AnnotationStore(b, "bob").rate(TARGETS[0], 3)
    return a, b


class TestFolders:
    def test_both_are_in_the_merged_one_and_neither_is_touched(self, two, tmp_path):
        before = [contents(folder) for folder in two]
        report = merge(two, tmp_path / "c")
        assert (report.files, report.records, report.problems) == (3, 3, ())
        assert [contents(folder) for folder in two] == before
        merged = AnnotationStore(tmp_path / "c")
        assert merged.annotation(SEVEN).tags == ("ann", "bob")
        assert merged.label(SEVEN) == "Paris"
        assert merged.annotations() == report.annotations == check(tmp_path / "c").annotations

    def test_order_and_repetition_make_no_difference_on_disk(self, two, tmp_path):
        a, b = two
        ways = [[a, b], [b, a], [a, b, b, a]]
        merged = []
        for n, sources in enumerate(ways):
            merge(sources, tmp_path / f"c{n}")
            merged.append(contents(tmp_path / f"c{n}"))
        merge([tmp_path / "c0", b], tmp_path / "again")
        assert merged[0] == merged[1] == merged[2] == contents(tmp_path / "again")

    def test_a_file_in_two_states_keeps_every_line_of_both(self, tmp_path):
        times = [f"2026-01-01T00:00:{n:02}.000000Z" for n in range(12)]
        events = [make_event("a" * 12, n, times[n], "ann", SEVEN, {"add": {"tags": [str(n)]}}) for n in range(1, 12)]
        lines = [event.line for event in events]
        states = {"a": [*lines[:5], b'{"version": 2}\n'], "b": [*lines[:3], *lines[8:], b"broken\n"]}
        for name, kept in states.items():
            (tmp_path / name).mkdir()
            (tmp_path / name / "x.jsonl").write_bytes(b"".join(kept))
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
        merge([tmp_path / "b", tmp_path / "a"], tmp_path / "d")
        text = (tmp_path / "c" / "x.jsonl").read_bytes()
        assert text == (tmp_path / "d" / "x.jsonl").read_bytes()
        assert set(text.splitlines(keepends=True)) == {*states["a"], *states["b"]}
        assert text.startswith(b"".join([*lines[:5], *lines[8:]]))
        report = check(tmp_path / "c")
        assert (report.records, len(report.problems)) == (8, 2)

    def test_a_newer_state_of_the_same_file_is_taken_as_it_is(self, two, tmp_path):
        a, _ = two
        older = tmp_path / "older"
        older.mkdir()
        (path,) = a.glob("*.jsonl")
        (older / path.name).write_bytes(path.read_bytes()[:40])
        merge([older, a], tmp_path / "c")
        assert contents(tmp_path / "c") == contents(a)

    def test_a_record_that_was_cut_in_one_copy_is_no_problem_of_the_merged_ones(self, tmp_path):
        store = AnnotationStore(tmp_path / "y", "ann")
        store.annotate(SEVEN, "London")
        store.annotate(SEVEN, "Paris")
        (path,) = (tmp_path / "y").iterdir()
        text = path.read_bytes()
        for name, state in {"x": text[:-30], "z": text.split(b"\n")[0] + b"\r\n"}.items():
            (tmp_path / name).mkdir()
            (tmp_path / name / path.name).write_bytes(state)
        x, y, z = (tmp_path / name for name in "xyz")
        merge([x, y], tmp_path / "xy")
        merge([y, z], tmp_path / "yz")
        ways = [merge(way, tmp_path / f"out{n}") for n, way in enumerate([[tmp_path / "xy", z], [x, tmp_path / "yz"]])]
        assert ways[0] == ways[1]
        assert (ways[0].records, ways[0].problems) == (2, ())
        assert contents(tmp_path / "out0") == contents(tmp_path / "out1") == {path.name: text}

    def test_a_file_that_only_one_has_is_copied_as_it_is(self, two, tmp_path):
        (path,) = two[0].iterdir()
        path.write_bytes(BOM + b"?{\r\n\n" + path.read_bytes() + b"cut")
        merge([two[0], two[0]], tmp_path / "c")
        assert contents(tmp_path / "c") == contents(two[0])

    def test_a_line_that_is_whole_stays_though_another_begins_like_it(self):
        event = make_event("a" * 12, 1, "2026-01-01T00:00:00.000000Z", "ann", SEVEN, {"set": {"label": "London"}})
        whole = event.line.rstrip()
        assert read(union(whole, whole + b"garbage\n")) == ({event}, 1)

    def test_a_single_file_is_merged_whatever_it_is_called(self, two, tmp_path):
        a, b = two
        path = next(b.iterdir())
        for name in ("bob.txt", "bob.JSONL"):
            (tmp_path / name).write_bytes(path.read_bytes())
            report = merge([a, tmp_path / name], tmp_path / f"out of {name}")
            assert report.records == 1 + check(tmp_path / name).records
            assert (tmp_path / f"out of {name}" / f"{name}.jsonl").read_bytes() == path.read_bytes()

    def test_one_folder_need_not_be_in_a_list(self, two, tmp_path):
        assert merge(two[0], tmp_path / "c") == merge(str(two[0]), tmp_path / "d") == check(two[0])

    def test_what_is_not_copied_is_said(self, two, tmp_path):
        a, b = two
        linked = tmp_path / "linked"
        linked.mkdir()
        (linked / "link.jsonl").symlink_to(next(b.iterdir()))
        report = merge([a, linked, linked], tmp_path / "c")
        assert report.records == 1
        (problem,) = report.problems
        assert (problem.file, problem.line) == (str(linked / "link.jsonl"), 0)
        assert "a link" in problem.reason

    def test_copying_files_merges_too(self, two):
        a, b = two
        for path in b.glob("*.jsonl"):
            (a / path.name).write_bytes(path.read_bytes())
        assert AnnotationStore(a).annotation(SEVEN).tags == ("ann", "bob")

    def test_it_never_writes_into_a_folder_that_is_used(self, two, tmp_path):
        a, b = two
        before = contents(a)
        with pytest.raises(StoreError, match="an empty folder"):
            merge([a, b], a)
        assert contents(a) == before
        with pytest.raises(StoreError, match="no annotations here"):
            merge([a, tmp_path / "none"], tmp_path / "c")
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match="an empty folder"):
            merge([a], tmp_path / "file")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_two_branches_of_git_merge_without_conflict(tmp_path):
    folder = tmp_path / "saewidgets_annotations"

    def git(*words: str) -> str:
        own = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *own, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    git("init", "-q", "-b", "main", ".")
    kernel = AnnotationStore(folder, "ann", refresh_every=0)
    kernel.annotate(SEVEN, "both", tags=["before"])
    git("add", ".")
    git("commit", "-qm", "before")
    git("checkout", "-qb", "bobs")
    kernel.annotate(SEVEN, tags=["anns kernel on bobs branch"])  # one kernel stays open over all of it
    AnnotationStore(folder, "bob").annotate(SEVEN, "Paris", tags=["bob"])
    git("add", ".")
    git("commit", "-qm", "bob")
    git("checkout", "-q", "main")
    assert kernel.annotation(SEVEN).tags == ("before",)
    kernel.annotate(SEVEN, tags=["ann"])
    AnnotationStore(folder, "cyd").rate(SEVEN, 2)
    git("add", ".")
    git("commit", "-qm", "ann")
    git("merge", "-q", "--no-edit", "bobs")
    assert git("status", "--porcelain") == ""
    merged = AnnotationStore(folder)
    assert merged.problems == ()
    assert merged.annotation(SEVEN).tags == ("ann", "anns kernel on bobs branch", "before", "bob")
    assert merged.annotation(SEVEN).ratings[0].score == 2
    assert merged.annotation(SEVEN) == kernel.annotation(SEVEN)
