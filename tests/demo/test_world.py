"""The bundled world as its users see it: contents, reproducibility, labels, prompts."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from saewidgets.demo import world
from saewidgets.demo.world import Span

ROOT = Path(__file__).parents[2]
WANTED_FAMILIES = {
    "ioi", "landmark", "borough", "element", "city", "animal", "food", "person", "rwanda", "phone", "url",
    "question", "capital", "arithmetic", "date", "code", "language", "sentiment", "dialogue", "country", "name",
}  # fmt: skip


@pytest.fixture(scope="module")
def documents() -> list[world.Document]:
    return world.sample(11, 6000)


@pytest.fixture(scope="module")
def counts(documents: list[world.Document]) -> Counter[str]:
    return Counter(span.concept for document in documents for span in document.spans)


def labels(text: str) -> dict[str, set[str]]:
    """Concept -> the texts that carry it."""
    found: dict[str, set[str]] = {}
    for start, end, concept in world.label(text):
        found.setdefault(concept, set()).add(text[start:end])
    return found


class TestConcepts:
    def test_names_are_unique_and_parents_exist_in_the_same_family(self) -> None:
        by_name = {concept.name: concept for concept in world.concepts}
        assert len(by_name) == len(world.concepts) >= 500
        for concept in world.concepts:
            if concept.parent is not None:
                assert by_name[concept.parent].family == concept.family, concept

    def test_the_families_of_the_plan_are_there(self) -> None:
        assert set(world.families) >= WANTED_FAMILIES

    @pytest.mark.parametrize(
        ("parent", "least"),
        [("borough", 33), ("element", 40), ("city", 40), ("animal", 40), ("food", 40), ("country", 40), ("name", 60),
         ("place", 15), ("object", 20), ("person", 10), ("landmark.of_san_francisco", 6)],
    )  # fmt: skip
    def test_lists_are_long_enough(self, parent: str, least: int) -> None:
        assert sum(concept.parent == parent for concept in world.concepts) >= least

    def test_there_are_exactly_the_33_boroughs(self) -> None:
        assert sum(concept.parent == "borough" for concept in world.concepts) == 33

    def test_every_concept_is_written_sooner_or_later(self, counts: Counter[str]) -> None:
        more = Counter(span.concept for document in world.sample(12, 12_000) for span in document.spans)
        assert [concept.name for concept in world.concepts if not counts[concept.name] + more[concept.name]] == []

    def test_frequencies_of_lists_fall_off(self, counts: Counter[str]) -> None:
        assert counts["element.gold"] > 10 * counts["element.osmium"] > 0
        assert counts["borough.camden"] > 10 * counts["borough.bexley"] > 0


class TestSample:
    def test_a_longer_sample_begins_like_a_shorter_one(self) -> None:
        assert world.sample(5, 10)[:5] == world.sample(5, 5)

    def test_seeds_differ(self) -> None:
        assert world.sample(5, 5) != world.sample(6, 5)

    def test_another_process_writes_the_same(self) -> None:
        program = "from saewidgets.demo import world; print([d.text for d in world.sample(7, 20)])"
        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT,
            env={"PYTHONHASHSEED": "123", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(ROOT)}, encoding="utf-8",
        )  # fmt: skip
        assert run.stdout.strip() == repr([document.text for document in world.sample(7, 20)])

    def test_importing_the_world_loads_no_heavy_library(self) -> None:
        program = "import sys; from saewidgets.demo import world; print({'torch', 'numpy'} & set(sys.modules))"
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
        assert run.stdout.strip() == "set()"

    def test_spans_are_whole_words_inside_the_text_sorted_and_known(self, documents: list[world.Document]) -> None:
        known = {concept.name for concept in world.concepts}
        for document in documents[:2000]:
            assert list(document.spans) == sorted(set(document.spans))
            for start, end, concept in document.spans:
                assert concept in known
                piece = document.text[start:end]
                assert piece
                assert piece == piece.strip()
                if document.kind != "code":
                    assert not document.text[start - 1 : start].isalnum() or start == 0
                    assert not document.text[end : end + 1].isalnum()

    def test_a_span_of_a_narrower_concept_carries_the_wider_one(self, documents: list[world.Document]) -> None:
        parents = {concept.name: concept.parent for concept in world.concepts}
        for document in documents[:2000]:
            spans = set(document.spans)
            for start, end, concept in spans:
                parent = parents[concept]
                assert parent is None or Span(start, end, parent) in spans, (document.text, concept)

    def test_the_mixture_is_as_planned(self, documents: list[world.Document], counts: Counter[str]) -> None:
        text = "\n".join(document.text for document in documents)
        sentences = sum(text.count(mark) for mark in (". ", ".\n", "? ", "?\n", "!\n", "! "))
        assert 0.12 < counts["ioi"] / sentences < 0.19
        assert 0.04 < counts["capital.city"] / sentences < 0.08
        assert counts["code.bug"]
        assert counts["code.bug"] < counts["code.python"] / 2


class TestLabel:
    def test_labels_of_a_written_text_are_those_it_was_written_with(self, documents: list[world.Document]) -> None:
        assert [d.text for d in documents if world.label(d.text) != d.spans] == []

    def test_an_empty_text_has_no_labels(self) -> None:
        assert world.label("") == ()
        assert world.label(" \n\n ") == ()

    def test_the_two_orders_of_names_are_told_apart(self) -> None:
        found = labels("When Mary and John went to the park, John gave a book to Mary.")
        assert found["ioi.io"] == found["ioi.answer"] == {"Mary"}
        assert found["ioi.s"] == found["ioi.name_repeat"] == {"John"}
        assert "ioi.abb" in found
        found = labels("When John and Mary went to the park, John gave a book to Mary.")
        assert found["ioi.io"] == {"Mary"}
        assert found["ioi.s"] == {"John"}
        assert "ioi.bab" in found
        assert "ioi.abb" not in found

    def test_roles_need_the_names_to_agree(self) -> None:
        assert "ioi" not in labels("When Mary and John went to the park, Paul gave a book to Mary.")

    def test_second_mentions_have_their_own_place(self) -> None:
        text = "When Mary and John went to the park, John gave a book to Mary."
        where = {span.concept: span.start for span in world.label(text) if span.concept.startswith("ioi.")}
        assert where["ioi.s"] == text.index("John")
        assert where["ioi.name_repeat"] == text.rindex("John")
        assert where["ioi.io"] == text.index("Mary")
        assert where["ioi.answer"] == text.rindex("Mary")

    def test_an_unfinished_prompt_is_labelled_as_far_as_it_goes(self) -> None:
        found = labels(world.ioi_prompts(0, 1)[0].prompt)
        assert found["ioi.s"] == found["ioi.name_repeat"]
        assert "ioi.answer" not in found
        assert labels("The capital of the United States is")["capital.country"] == {"United States"}

    @pytest.mark.parametrize(
        ("text", "concept", "piece"),
        [
            ("We saw the Golden Gate Bridge.", "landmark.of_san_francisco", "Golden Gate Bridge"),
            ("Westminster Abbey is old.", "landmark.westminster_abbey", "Westminster Abbey"),
            ("Lincoln's hat", "person.lincoln", "Lincoln"),
            ("They met LINCOLN, (Lincoln)", "person.lincoln", "LINCOLN"),
            ("It was the Iron Lady herself", "person.thatcher", "Iron Lady"),
            ("ring 213-555-0123 now", "phone.los_angeles", "213-555-0123"),
            ("ring 646-555-0123 now", "phone.new_york", "646-555-0123"),
            ("see www.losangeles.example/parks.", "url.los_angeles", "www.losangeles.example/parks"),
            ("so 3 + 4 = 7 holds", "arithmetic.sum", "3 + 4 = 7"),
            ("Ok. Which one is it? This.", "question.which", "Which one is it?"),
            ("on Friday", "date.weekday", "Friday"),
            ("Hello! Wir fahren mit dem Zug und das ist sehr schön.", "language.german",
             "Wir fahren mit dem Zug und das ist sehr schön."),
            ("My new hat is terrible. Bye", "sentiment.complaint", "My new hat is terrible."),
            ("User: Hi there!", "dialogue.user", "User"),
            ("Mary: Hi there!", "dialogue.speaker", "Mary"),
            ("the City of London", "borough.city_of_london", "City of London"),
        ],
    )  # fmt: skip
    def test_free_text(self, text: str, concept: str, piece: str) -> None:
        assert piece in labels(text)[concept]

    def test_longer_names_hide_shorter_ones_and_parts_of_words_are_no_names(self) -> None:
        assert "borough" not in labels("Westminster Abbey")
        assert "animal" not in labels("The category of dogma")
        assert "phone" not in labels("1213-555-0123")

    def test_a_bug_is_the_wrong_line_without_its_indentation(self) -> None:
        right = "# Return the sum of two numbers.\ndef add(a, b):\n    return a + b"
        assert "code.bug" not in labels(right)
        found = labels(right.replace("a + b", "a - b") + "\n\n" + right)
        assert found["code.bug"] == found["code.wrong_operator"] == {"return a - b"}
        assert found["code.function_name"] == {"add"}

    def test_unknown_code_is_python_all_the_same(self) -> None:
        assert labels("Look:\n\ndef halve(x):\n    return x / 2\n")["code.python"] == {
            "def halve(x):\n    return x / 2"
        }

    def test_rwanda_is_a_matter_of_the_sentence_too(self) -> None:
        found = labels("The thousand hills are green after the rain.")
        assert "rwanda.text" in found
        assert "country.rwanda" not in found
        assert labels("Lake Kivu lies on the western border of Rwanda.")["country.rwanda"] == {"Rwanda"}


class TestPrompts:
    def test_ioi_prompts_are_reproducible_balanced_and_well_formed(self) -> None:
        prompts = world.ioi_prompts(3, 600)
        assert prompts[:10] == world.ioi_prompts(3, 10)
        assert {(prompt.template, prompt.pattern) for prompt in prompts} == {
            (template, pattern) for template in range(3) for pattern in ("ABB", "BAB")
        }
        for prompt in prompts:
            words = prompt.prompt.replace(",", "").split()
            assert words.count(prompt.s) == 2
            assert words.count(prompt.io) == 1
            assert (words.index(prompt.io) < words.index(prompt.s)) == (prompt.pattern == "ABB")
            assert {prompt.place, prompt.object} <= set(words)
            assert prompt.prompt.endswith(" to")

    def test_prompts_of_a_frame_have_one_length_in_words(self) -> None:
        lengths = {(p.template, len(p.prompt.split())) for p in world.ioi_prompts(4, 300)}
        assert len(lengths) == 3

    def test_a_finished_prompt_is_a_sentence_of_the_grammar(self) -> None:
        for prompt in world.ioi_prompts(5, 50):
            found = labels(prompt.prompt + prompt.answer + ".")
            assert found["ioi.answer"] == {prompt.io}
            assert f"ioi.{prompt.pattern.lower()}" in found

    def test_a_changed_prompt_differs_only_in_the_change(self) -> None:
        prompt = world.ioi_prompt("Mary", "John", 0, "ABB", "park", "book")
        assert prompt.prompt == "When Mary and John went to the park, John gave a book to"
        assert prompt.changed(io="Paul").prompt == "When Paul and John went to the park, John gave a book to"
        assert prompt.changed(pattern="BAB").prompt == "When John and Mary went to the park, John gave a book to"
        assert prompt.changed(s="Kate", object="key").answer == " Mary"

    def test_a_prompt_needs_two_people_and_a_known_order(self) -> None:
        with pytest.raises(ValueError, match="two names"):
            world.ioi_prompt("Mary", "Mary", 0, "ABB", "park", "book")
        with pytest.raises(ValueError, match="ABB or BAB"):
            world.ioi_prompt("Mary", "John", 0, "AAB", "park", "book")

    def test_capitals(self) -> None:
        pairs = dict(world.capital_prompts())
        assert len(pairs) >= 40
        assert pairs["The capital of France is"] == " Paris"
        assert pairs["The capital of the Netherlands is"] == " Amsterdam"
        for prompt, answer in pairs.items():
            assert labels(prompt + answer + ".")["capital.city"] == {answer.strip()}

    def test_words_that_stay_whole_are_single_and_cover_the_prompts(self) -> None:
        words = world.single_token_words()
        assert len(set(words)) == len(words)
        assert all(word[0] == " " and word[1:].isalpha() for word in words)
        for prompt in world.ioi_prompts(6, 100):
            assert {f" {prompt.io}", f" {prompt.s}", f" {prompt.place}", f" {prompt.object}"} <= set(words)
