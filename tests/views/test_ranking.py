"""The static twin of a ranking: three columns, the overlaps, the nodes; nothing in it can be markup."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser

import numpy as np
import pytest

from saewidgets.errors import TargetError
from saewidgets.results import Node, Ranking, RankingBatch, Tokens
from saewidgets.views import ranking_batch_html, ranking_html, ranking_text
from tests.results.rankings import METRIC, NAN, ranking_of
from tests.widgets.nasty import nasty_activations

KEPT = {"p", "br", "b", "i", "mark", "table", "thead", "tbody", "tr", "th", "td", "code"}


class Plain(HTMLParser):
    """Rows of the tables, lines of the paragraphs and what is bold; markup that sanitisers drop is an error."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self.lines: list[str] = []
        self.bold: list[str] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in KEPT
        assert attrs in ([], [("style", "text-align:left")])
        if tag != "br":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
        elif tag in {"p", "br"}:
            self.lines.append("")
        elif tag == "b":
            self.bold.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "tr" in self.open:
            self.rows[-1][-1] += data
        else:
            self.lines[-1] += data
        if "b" in self.open:
            self.bold[-1] += data


ROWS = [(9, 0.1, 0.5), (8, 2, 2), (1, 3, 3), (7, -0.5, 0), (2, -4, -5)]


@pytest.fixture
def found() -> Ranking:
    """Five features, 10 to 14. By ablation: 14 (-5), 12 (3), 11 (2), 10 (0.5), 13 (0)."""
    return ranking_of(ROWS)


def test_three_columns_and_the_nodes(found):
    seen = Plain(ranking_html(found, k=3))
    assert seen.rows == [
        ["rank", "by activation", "activation", "by attribution", "attribution", "by ablation", "ablation"],
        ["1", "10", "9", "14", "-4", "14", "-5"],
        ["2", "11", "8", "12", "+3", "12", "+3"],
        ["3", "13", "7", "11", "+2", "11", "+2"],
        ["not a feature", "SAE", "position", "attribution", "ablation"],
        ["error of the reconstruction", "mid", "2 ·is", "+0.25", "—"],
        ["bias of the SAE", "mid", "2 ·is", "-1", "+0.5"],
        ["all features and nodes together", "", "", "-0.15", "—"],
    ]


def test_names_are_aligned_to_the_left_and_numbers_not(found):
    left = "<td style=text-align:left>"
    assert f"<td>1</td>{left}10</td><td>9</td>{left}<b>14</b></td><td>-4</td>{left}14</td>" in ranking_html(found, k=3)
    assert f"{left}Paris is</td>{left}{escape(METRIC)}</td><td>+2.5</td>" in ranking_batch_html(
        RankingBatch((found,)), k=3
    )


def test_what_is_first_by_ablation_is_bold_in_the_other_columns(found):
    assert Plain(ranking_html(found, k=3)).bold[1:] == ["bold", "14", "11", "12", "11"]
    assert Plain(ranking_html(found, k=2, order="signed")).bold[1:] == ["bold", "12", "11", "11"]


def test_the_same_feature_of_another_sae_or_position_is_not_bold():
    rows = [(9.0, 9.0, 1.0), (1.0, 1.0, 9.0)]
    for other in ({"saes": ("a", "b"), "sae_index": np.array([0, 1], np.int32)}, {"positions": np.array([1, 2])}):
        twins = ranking_of(rows, features=np.array([7, 7], np.int32), **other)
        assert len(Plain(ranking_html(twins, k=1)).bold) == 2


def test_the_caption_says_what_was_measured(found):
    prompt, first, overlap, correlation, bold = Plain(ranking_html(found, k=3)).lines
    assert prompt == found.prompt_tokens.text
    assert first == (
        f"{METRIC} = +2.5 · model toy · SAE mid · attribution · at position 2 ·is · "
        "ranked by magnitude · + raises the metric, - lowers it · 1 of 3 positions masked · 5 of 5 ablated"
    )
    assert overlap == (
        "1/3 of the most active and 3/3 of the most attributed features are among the 3 that matter most when ablated"
    )
    assert re.fullmatch(
        r"correlation with ablation: activation r = \S+, rank r = \S+; attribution r = 0.99, rank r = 1.00", correlation
    )
    assert bold == "bold: also among the first 3 by ablation"


@pytest.mark.parametrize(
    ("scope", "position", "words"),
    [
        ("position", 2, " · at position 2 ·is · "),
        ("position", None, " · each feature at its own position · "),
        ("all_positions", None, " · at all positions at once · "),
        ("all_positions", 2, " · features that fire at position 2 ·is, at all positions at once · "),
    ],
)
def test_the_caption_says_where(scope, position, words):
    some = ranking_of(ROWS, scope=scope, position=position)
    assert words in ranking_html(some)
    assert words in ranking_text(some)


def test_the_caption_says_what_is_unusual():
    odd = ranking_of(
        [(1, 1, 1), (2, 2, NAN)],
        method="integrated_gradients",
        completeness_error=0.0123,
        blocks_above_only=False,
        stopped=True,
    )
    _, first, overlap, *_ = Plain(ranking_html(odd, order="signed")).lines
    assert "attribution by integrated gradients" in first
    assert "1 of 2 ablated, stopped · completeness error 1.23 % · ablated by full forward passes" in first
    assert "ranked from largest to smallest" in first
    assert overlap.startswith("0/1 of the most active and 0/1")
    assert overlap.endswith(
        "among the 1 that raise the metric most, by ablation (so far: 1 of 2 were ablated, the most attributed first)"
    )


def test_rows_at_several_positions_name_theirs():
    pairs = ranking_of([(2, 1, 1), (1, 2, 2)], position=None, positions=np.array([1, 2]))
    assert [row[1] for row in Plain(ranking_html(pairs)).rows[1:3]] == ["10 at 1 Paris", "11 at 2 ·is"]
    together = ranking_of([(2, 1, 1)], position=None, positions=np.array([-1]), scope="all_positions")
    assert Plain(ranking_html(together)).rows[1][1] == "10"


def test_several_saes_are_named():
    two = ranking_of([(2, 1, 1), (1, 2, 2)], saes=("low", "mid"), sae_index=np.array([0, 1], np.int32))
    seen = Plain(ranking_html(two))
    assert [row[1] for row in seen.rows[1:3]] == ["low/10", "mid/11"]
    assert "SAEs low, mid" in seen.lines[1]


def test_k_above_the_rows_and_k_that_is_none(found):
    assert len(Plain(ranking_html(found, k=99)).rows) == 1 + 5 + 4
    for show in (ranking_html, ranking_text):
        with pytest.raises(TargetError):
            show(found, k=0)


def test_nothing_ablated():
    none = ranking_of([(1, 1, NAN), (2, 3, NAN)])
    seen = Plain(ranking_html(none))
    assert seen.lines[2:] == ["no feature is ablated yet"]
    assert seen.rows[1] == ["1", "11", "2", "11", "+3", "", ""]
    assert "by ablation:" not in ranking_text(none)


def test_partly_ablated_leaves_the_rest_of_the_column_empty():
    some = ranking_of([(1, 1, NAN), (2, 3, 0.5)])
    assert [row[-2:] for row in Plain(ranking_html(some)).rows[1:3]] == [["11", "+0.5"], ["", ""]]


def test_no_rows():
    masked = ranking_of([], masked=np.array([True] * 3), nodes=())
    seen = Plain(ranking_html(masked))
    assert seen.rows == []
    assert seen.lines[2:] == ["every position is masked"]
    assert "3 of 3 positions masked" in seen.lines[1]
    assert Plain(ranking_html(ranking_of([], nodes=()))).lines[2:] == ["no feature fires here"]
    assert "no feature fires here" in ranking_text(ranking_of([]))


def test_numbers_that_are_none():
    none = ranking_of([(NAN, NAN, NAN)] * 3, metric_value=NAN, nodes=(Node("error", "mid", 2, NAN, NAN),))
    seen = Plain(ranking_html(none))
    assert seen.lines[1].startswith(f"{METRIC} = —")
    assert "by ablation" in seen.rows[0]
    assert ranking_text(none)
    assert Plain(ranking_batch_html(RankingBatch((none,)))).rows


def test_many_nodes_show_the_largest():
    nodes = tuple(Node("error", "mid", -1, float(i), NAN) for i in range(30))
    seen = Plain(ranking_html(ranking_of(ROWS, nodes=nodes)))
    assert [row[3] for row in seen.rows[7:-1]] == [f"+{i}" for i in range(29, 17, -1)]
    assert seen.lines[-1] == "and 18 more nodes"


def nasty() -> Ranking:
    """A row at every nasty token; the metric, the model, the SAE and a node are nasty too."""
    tokens: Tokens = nasty_activations().prompt_tokens
    n = len(tokens)
    evil = "</p><script>x</script>\u202e\n\u2028\x85"
    return ranking_of(
        [(1, 1, 1)] * n,
        prompt_tokens=tokens,
        masked=tokens.special,
        metric=f"logit({evil})",
        saes=(evil, "b"),
        sae_index=np.zeros(n, np.int32),
        positions=np.arange(n),
        position=None,
        model=evil,
        nodes=tuple(Node(evil, evil, p, 1.0, NAN) for p in range(8)),
    )


def test_nasty_text_stays_text():
    page = ranking_html(nasty(), k=100)
    seen = Plain(page)
    assert "</p><script>x</script>\\u202e\\n" in seen.lines[1]
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", page)
    assert any("<img src=x onerror=".replace(" ", "·") in row[1] for row in seen.rows)
    assert any("👨‍👩‍👧‍👦" in row[1] for row in seen.rows)
    assert max(len(row[1]) for row in seen.rows) < 100


def test_nasty_text_does_not_break_lines():
    some = nasty()
    lines = ranking_text(some, k=100).splitlines()
    assert len(lines) == 5 + 3 * (1 + len(some)) + 8
    assert all(not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", line) for line in lines)


def test_text(found):
    prompt, first, overlap, correlation, star, *rest = ranking_text(found, k=2).splitlines()
    assert prompt == found.prompt_tokens.text
    assert first.startswith(f"{METRIC} = +2.5 · model toy · SAE mid · attribution · at position 2 ·is")
    assert overlap.startswith("0/2 of the most active and 2/2 of the most attributed features")
    assert correlation.startswith("correlation with ablation: ")
    assert star == "*: also among the first 2 by ablation"
    assert rest == [
        "by activation:",
        "  1. 10 9",
        "  2. 11 8",
        "by attribution:",
        "  1. 14* -4",
        "  2. 12* +3",
        "by ablation:",
        "  1. 14 -5",
        "  2. 12 +3",
        "error of the reconstruction, mid, 2 ·is: +0.25, ablation —",
        "bias of the SAE, mid, 2 ·is: -1, ablation +0.5",
        "all features and nodes together: -0.15, ablation —",
    ]


def test_pictures_are_registered(found):
    assert found._repr_html_() == ranking_html(found)
    batch = RankingBatch((found,))
    assert batch._repr_html_() == ranking_batch_html(batch)


def test_a_batch_is_the_table_of_the_paper(found):
    other = ranking_of([(1, 0.1, 0.5), (2, 2, 2), (9, 3, 3), (8, -0.5, 0), (7, -4, -5)])
    seen = Plain(ranking_batch_html(RankingBatch((found, other)), k=3))
    assert seen.lines == ["2 prompts · ranked by magnitude · mean [95 % bootstrap interval over prompts]"]
    head, overlap, linear, ranks, *prompts = seen.rows
    assert head == ["measure", "activation vs ablation", "attribution vs ablation", "difference", "prompts"]
    assert overlap == ["overlap@3", "1.50 [1.00, 2.00]", "3.00 [3.00, 3.00]", "1.50 [1.00, 2.00]", "2"]
    assert (linear[0], ranks[0]) == ("Pearson", "Spearman")
    assert ranks[2] == "1.00 [1.00, 1.00]"
    assert prompts[1][:5] == ["Paris is", METRIC, "+2.5", "1/3", "3/3"]
    assert prompts[2][3:5] == ["2/3", "3/3"]
    assert prompts[1][-1] == "5 of 5"
    assert len(prompts) == 3


def test_a_batch_shows_ten_prompts_and_says_how_many_are_left(found):
    seen = Plain(ranking_batch_html(RankingBatch((found,) * 12), k=3))
    assert len(seen.rows) == 4 + 1 + 10
    assert seen.lines[-1] == "and 2 more prompts"


def test_a_batch_says_which_prompts_count(found):
    short = ranking_of([(1, 1, 1), (2, 2, 2), (3, 3, 3)])
    seen = Plain(ranking_batch_html(RankingBatch((found, short)), k=4))
    assert seen.lines[1] == (
        "overlap@4 is over 1 of 2 prompts: those of which every feature is ablated, 4 or more with an effect"
    )
    assert [row[-1] for row in seen.rows[1:4]] == ["1", "2", "2"]
    flat = ranking_of([(1, 1, 1), (1, 2, 2), (1, 3, 3)])
    assert Plain(ranking_batch_html(RankingBatch((found, flat)), k=3)).rows[2][-1] == "1 / 2 / 1"


def test_a_batch_of_none_and_of_nasty_text():
    assert Plain(ranking_batch_html(RankingBatch(()))).rows[1] == ["overlap@10", "—", "—", "—", "0"]
    page = ranking_batch_html(RankingBatch((nasty(),)))
    assert Plain(page).rows
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u202a-\u202e]", page)
