"""Static pictures of results: HTML for every host, and plain text."""

from __future__ import annotations

from saewidgets.results import (
    Activations,
    ActivationsBatch,
    Attention,
    FeatureStats,
    Generation,
    NextToken,
    Ranking,
    RankingBatch,
    SideEffect,
    Specificity,
    SteeringBench,
    SteeringComparison,
    SteeringVector,
)
from saewidgets.results.snapshot import chart_of, picture
from saewidgets.views.attention import attention_html, attention_text
from saewidgets.views.attention_svg import attention_svg
from saewidgets.views.feature_stats import feature_stats_html, feature_stats_text
from saewidgets.views.ranking import ranking_batch_html, ranking_html, ranking_text
from saewidgets.views.ranking_svg import ranking_svg
from saewidgets.views.remarks import token_remarks
from saewidgets.views.specificity import specificity_chart, specificity_html, specificity_text
from saewidgets.views.steering import (
    generation_html,
    generation_text,
    next_token_html,
    next_token_text,
    side_effect_html,
    side_effect_text,
    steering_comparison_html,
    steering_comparison_text,
    steering_vector_html,
    steering_vector_text,
)
from saewidgets.views.steering_bench import steering_bench_chart, steering_bench_html, steering_bench_text
from saewidgets.views.token_strip import token_strip_html, token_strip_text
from saewidgets.views.token_strip_svg import token_strip_svg

__all__ = [
    "attention_html",
    "attention_svg",
    "attention_text",
    "feature_stats_html",
    "feature_stats_text",
    "first_feature",
    "generation_html",
    "generation_text",
    "html",
    "next_token_html",
    "next_token_text",
    "ranking_batch_html",
    "ranking_html",
    "ranking_svg",
    "ranking_text",
    "side_effect_html",
    "side_effect_text",
    "specificity_chart",
    "specificity_html",
    "specificity_text",
    "steering_bench_chart",
    "steering_bench_html",
    "steering_bench_text",
    "steering_comparison_html",
    "steering_comparison_text",
    "steering_vector_html",
    "steering_vector_text",
    "text",
    "token_remarks",
    "token_strip_html",
    "token_strip_svg",
    "token_strip_text",
]


def html(result: Activations) -> str:
    """A result as HTML: its strongest feature marked on the tokens, and a table."""
    return token_strip_html(result, first_feature(result))


def batch_html(batch: ActivationsBatch) -> str:
    """Several results below each other; the first ten."""
    shown = "".join(html(result) for result in batch[:10])
    return shown + (f"<p>and {len(batch) - 10} more prompts</p>" if len(batch) > 10 else "")


picture.register(Activations, html)
picture.register(ActivationsBatch, batch_html)
picture.register(Attention, attention_html)
picture.register(FeatureStats, feature_stats_html)
picture.register(Ranking, ranking_html)
picture.register(RankingBatch, ranking_batch_html)
picture.register(NextToken, next_token_html)
picture.register(Generation, generation_html)
picture.register(SteeringComparison, steering_comparison_html)
picture.register(SideEffect, side_effect_html)
picture.register(SteeringVector, steering_vector_html)
picture.register(SteeringBench, steering_bench_html)
chart_of.register(SteeringBench, steering_bench_chart)
picture.register(Specificity, specificity_html)
chart_of.register(Specificity, specificity_chart)


def text(result: Activations) -> str:
    """A result as plain text."""
    return token_strip_text(result, first_feature(result))


def first_feature(result: Activations) -> int | None:
    """The feature to show first: the strongest that tells tokens apart, else the strongest.

    Such a feature fires on at most a third of the tokens, and most on another than the first, whose features tend to
    mean no more than being first.
    """
    rows = result.top(100)
    first = int(result.masked.argmin())
    few = [row for row in rows if row.count <= max(1, len(result) // 3)]
    telling = [row for row in few if row.position != first]
    chosen = next(iter(telling or few or rows), None)
    return None if chosen is None else chosen.feature
