"""Views that stay open hear of what another process writes: one thread a store, for as long as anybody observes."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref

import pytest

from saewidgets.annotations import AnnotationStore, Target
from saewidgets.annotations.polling import THREAD, Poll
from saewidgets.errors import AnnotationError

SEVEN = Target("feature", "gpt2", "h", "s", 7)
WRITER = """
import sys
from saewidgets.annotations import AnnotationStore, Target

AnnotationStore(sys.argv[1], "bob").annotate(Target("feature", "gpt2", "h", "s", 7), sys.argv[2])
"""
LONG = 30


def write_elsewhere(folder, label) -> None:
    """Another process labels feature 7."""
    subprocess.run([sys.executable, "-c", WRITER, str(folder), label], check=True)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "notes"


def test_a_look_finds_what_another_process_wrote(folder):
    store = AnnotationStore(folder, "ann", refresh_every=None)
    heard: list[frozenset[Target]] = []
    store.observe(heard.append)
    assert store.label(SEVEN) is None
    write_elsewhere(folder, "London")
    assert (heard, store.label(SEVEN)) == ([], None)
    store.poll()
    assert (heard, store.label(SEVEN)) == ([{SEVEN}], "London")
    store.poll()
    assert len(heard) == 1


def test_who_observes_hears_of_it_by_itself(folder):
    store = AnnotationStore(folder, "ann", refresh_every=0.02)
    come, threads = threading.Event(), []

    def hear(targets):
        threads.append((threading.current_thread().name, targets))
        come.set()

    end = store.observe(hear)
    thread = store._poll.thread
    assert thread is not None
    assert thread.daemon
    write_elsewhere(folder, "London")
    assert come.wait(LONG)
    assert threads == [(THREAD, {SEVEN})]
    end()
    thread.join(LONG)
    assert not thread.is_alive()


def test_one_thread_for_all_and_none_without(folder):
    store = AnnotationStore(folder, "ann")
    assert store._poll.thread is None
    ends = [store.observe(print) for _ in range(3)]
    thread = store._poll.thread
    assert thread is not None
    ends[0]()
    ends[1]()
    assert store._poll.thread is thread
    ends[2]()
    thread.join(LONG)
    assert (thread.is_alive(), store._poll.thread) == (False, None)
    end = store.observe(print)
    assert store._poll.thread is not None
    end()
    assert not folder.exists()


def test_nobody_looks_where_only_refresh_may(folder):
    store = AnnotationStore(folder, "ann", refresh_every=None)
    store.observe(print)
    assert store._poll.thread is None


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e9, "1", True])
def test_a_pause_that_no_thread_can_wait_is_refused(folder, seconds):
    with pytest.raises(AnnotationError, match="no time between two looks"):
        AnnotationStore(folder, "ann", refresh_every=-1)
    store = AnnotationStore(folder, "ann", refresh_every=2)
    with pytest.raises(AnnotationError, match="no time between two looks"):
        store.refresh_every = seconds
    assert store.refresh_every == 2


def test_the_thread_keeps_no_store_alive(folder):
    store = AnnotationStore(folder, "ann", refresh_every=0.02)
    store.observe(print)
    thread, gone = store._poll.thread, weakref.ref(store)
    del store
    gc.collect()
    assert thread is not None
    thread.join(LONG)
    assert (thread.is_alive(), gone()) == (False, None)


def test_a_folder_that_cannot_be_read_is_a_problem_and_no_error(folder):
    folder.write_text("a file")
    store = AnnotationStore(folder, "ann", refresh_every=None)
    store.poll()
    assert [problem.line for problem in store.problems] == [0]
    folder.unlink()
    store.poll()
    assert store.problems == ()


class Looking:
    """Counts its looks, and fails at each."""

    def __init__(self) -> None:
        self.looks = 0
        self.come = threading.Event()

    def look(self):
        self.looks += 1
        if self.looks == 3:
            self.come.set()
        raise RuntimeError("no folder today")


def test_a_look_that_fails_is_not_the_last():
    looking = Looking()
    poll = Poll(looking.look)
    poll.begin(0.001)
    assert looking.come.wait(LONG)
    poll.end()


def test_a_thread_whose_turn_is_over_looks_no_more():
    looking = Looking()
    poll = Poll(looking.look)
    poll.begin(LONG)
    former, thread = poll._bell, poll.thread
    poll.begin(LONG)
    assert poll.thread is thread
    assert former is not None
    assert poll.turn(former) is not None
    poll.end()
    assert poll.turn(former) is None
    assert looking.looks == 1


def test_an_observer_of_a_move_may_wait_for_another_thread_that_reads(folder, tmp_path):
    store = AnnotationStore(folder, "ann", refresh_every=None)
    store.annotate(SEVEN, "here")
    AnnotationStore(tmp_path / "other", "bob").annotate(SEVEN, "there")
    found: list[str | None] = []

    def react(_):
        reader = threading.Thread(target=lambda: found.append(store.label(SEVEN)), daemon=True)
        reader.start()
        reader.join(LONG)

    store.observe(react)
    store.move(tmp_path / "other")
    assert found == ["there"]
