"""The log probability of a document is that of all its choices: small grammars are counted out."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable

import pytest

from saewidgets.demo import world
from saewidgets.demo.world.documents import KIND_TABLE, KINDS, Kind, Writer, code_blocks, mixture
from saewidgets.demo.world.grammar import Chooser, Grammar, Table, group, zipf
from saewidgets.demo.world.lexicon import Lexicon
from saewidgets.demo.world.registry import grammar


def small_grammar() -> Grammar:
    forms = [Table([{"name": "Abe"}, {"name": "Lincoln"}], [1.0, 3.0]), Table([{"name": "Thatcher"}])]
    tables = {
        "who": Table([{"name": name} for name in ("Ann", "Bob", "Cid")], [5.0, 3.0, 2.0]),
        "person": Table([{"job": "president"}, {"job": "minister"}], [2.0, 1.0]),
        "form": Table([{"name": "Abe"}, {"name": "Lincoln"}, {"name": "Thatcher"}]).given("t", forms),
    }
    return Grammar(Lexicon(), tables)


def counted(write: Callable[[Writer], None], engine: Grammar, n: int) -> tuple[dict[str, float], Counter[str]]:
    """Log probability and count of every text that is written in ``n`` tries."""
    log_probs: dict[str, float] = {}
    seen: Counter[str] = Counter()
    for number in range(n):
        writer = Writer(engine, Chooser(random.Random(number)))
        write(writer)
        text = "".join(writer.parts)
        assert log_probs.setdefault(text, writer.chooser.log_prob) == pytest.approx(writer.chooser.log_prob)
        seen[text] += 1
    return log_probs, seen


def assert_exact(write: Callable[[Writer], None], engine: Grammar, n: int) -> dict[str, float]:
    log_probs, seen = counted(write, engine, n)
    assert math.fsum(math.exp(value) for value in log_probs.values()) == pytest.approx(1, abs=1e-9)
    for text, value in log_probs.items():
        expected = n * math.exp(value)
        assert abs(seen[text] - expected) < 5 * math.sqrt(expected) + 1, text
    return log_probs


class TestSmallGrammars:
    def test_exclusion_weights_and_lengths(self) -> None:
        groups = (
            (0.75, group("3: {a=who.name} met {b=who.name!a}.\n1: Who was it? | {a=who.name} was.")),
            (0.25, group("Nobody came.")),
        )
        kind = Kind("small", 1, groups, 1, 2)
        found = assert_exact(lambda writer: writer.sentences(kind), small_grammar(), 40_000)
        # Six ordered pairs, three answers and one more sentence, alone or two in a row.
        assert len(found) == 10 + 100
        ann_bob = math.log(0.5 * 0.75 * 0.75 * 0.5 * 0.3 / 0.5)
        assert found["Ann met Bob."] == pytest.approx(ann_bob)
        assert found["Bob met Cid. Nobody came."] == pytest.approx(
            math.log(0.5 * 0.75 * 0.75 * 0.3 * 0.2 / 0.7 * 0.25),
        )

    def test_names_that_depend_on_the_topic(self) -> None:
        kind = Kind("small", 1, ((1, group("{f=form.name} was a {t.job}.", topic="person")),), 2, 2)
        found = assert_exact(lambda writer: writer.sentences(kind), small_grammar(), 8000)
        assert set(found) == {
            f"{a} was a president. {b} was a president." for a in ("Abe", "Lincoln") for b in ("Abe", "Lincoln")
        } | {"Thatcher was a minister. Thatcher was a minister."}
        assert found["Lincoln was a president. Abe was a president."] == pytest.approx(math.log(2 / 3 * 3 / 4 / 4))


class TestTheWorld:
    @pytest.mark.parametrize("kind", [kind.name for kind in KINDS if kind.groups])
    def test_passages_of_a_kind_have_probabilities_that_sum_to_one(self, kind: str) -> None:
        chosen = next(each for each in KINDS if each.name == kind)
        assert math.fsum(mixture(chosen).probs) == pytest.approx(1)
        for _, each in chosen.groups:
            assert math.fsum(each.table.probs) == pytest.approx(1)

    def test_all_functions_are_different_texts_and_sum_to_one(self) -> None:
        table, labels = code_blocks()
        assert len(labels) == len(table.rows)
        found = assert_exact(lambda writer: writer.code(1), grammar(), 20_000)
        assert set(found) == set(labels)

    def test_a_dialogue_counts_its_two_speakers_and_its_turns(self) -> None:
        writer = Writer(grammar(), Chooser(random.Random(0)))
        writer.talk(0)
        names = len(grammar().tables["name"].rows)
        turns = 4 * 3 * 3 * 3
        assert writer.chooser.log_prob == pytest.approx(-math.log(names * (names - 1) * turns))

    def test_a_sentence_of_ioi_has_the_probability_of_its_parts(self) -> None:
        # Draws are from even lists, so the document's probability is known from its kind and length alone.
        story = next(kind for kind in KINDS if kind.name == "story")
        sizes = {name: len(grammar().tables[name].rows) for name in ("name", "place", "object")}
        each = 0.8 / 6 / (sizes["name"] * (sizes["name"] - 1) * sizes["place"] * sizes["object"])
        checked = 0
        for document in world.sample(2, 1500):
            n = sum(span.concept == "ioi" for span in document.spans)
            if document.kind == "story" and n == document.text.count("."):
                start = KIND_TABLE.log_probs[KINDS.index(story)] - math.log(story.high - story.low + 1)
                assert document.log_prob == pytest.approx(start + n * math.log(each))
                checked += 1
        assert checked > 20

    def test_every_document_pays_for_its_kind_at_least(self) -> None:
        for document in world.sample(3, 500):
            number = [kind.name for kind in KINDS].index(document.kind)
            assert document.log_prob < KIND_TABLE.log_probs[number] < 0


class TestTables:
    def test_zipf(self) -> None:
        assert zipf(3, 1.0) == [1, 1 / 2, 1 / 3]

    def test_log_probabilities_are_normalised(self) -> None:
        table = Table([{}, {}], [3.0, 1.0])
        assert [math.exp(value) for value in table.log_probs] == pytest.approx([0.75, 0.25])
        assert [table.find(0.0), table.find(0.7499), table.find(0.7501), table.find(1 - 1e-16)] == [0, 0, 1, 1]

    def test_one_surface_form_has_one_meaning(self) -> None:
        lexicon = Lexicon()
        lexicon.concept("animal", "animal", "any")
        lexicon.add("cat", "animal", "animal")
        lexicon.add("cat", "animal", "animal")
        with pytest.raises(ValueError, match="cat"):
            lexicon.add("cat", "food", "animal")
        with pytest.raises(ValueError, match="unknown"):
            lexicon.concept("x", "x", "x", "nobody")

    def test_patterns_differ_when_the_same_text_has_two_readings(self) -> None:
        # ABB and BAB share a skeleton; the names that must agree tell them apart.
        from saewidgets.demo.world.labelling import patterns

        for found in patterns().values():
            assert len({pattern.same for pattern in found}) == len(found)
