"""What is made of finished runs: curves, savings, chances, and the words for them."""

import csv
import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.isotonic import isotonic_regression

from annotate.report.simulation import page, points, write_report
from annotate.simulation.curves import Curves, areas_together, mean_interval, reached, rising
from annotate.simulation.outcome import outcome
from annotate.simulation.replay import CurvePoint
from annotate.simulation.runner import RunKey, Runs
from annotate.simulation.savings import reaches
from annotate.simulation.statistics import duels, holm, seeds_needed, wilcoxon

NOTHING = dict.fromkeys(("classes", "speakers", "duplicates", "conflict"))


def _point(samples, score, seconds=None):
    return CurvePoint(
        samples=samples, labels=int(4 * samples), seconds=30.0 * samples if seconds is None else seconds,
        score=score, scores={"sentiment.M": {"n": 9, "Corr": score}}, asked=[], batch=NOTHING,
        select_seconds=0.5, select_bytes=1000,
    )  # fmt: skip


def _runs(scores, full=1.0, seeds=8, noise=0.01):
    """`scores` by strategy: (points,), to which each seed adds its own noise, the same for nobody."""
    rng = np.random.default_rng(3)
    found = {
        RunKey(name, seed): [
            _point(20.0 * (k + 1), float(s)) for k, s in enumerate(np.array(line) + rng.normal(0, noise))
        ]
        for name, line in scores.items()
        for seed in range(seeds)
    }
    return Runs(tuple(scores), tuple(range(seeds)), found, {s: _point(400, full) for s in range(seeds)})


def test_a_curve_made_rising_is_the_isotonic_regression():
    for seed in range(50):
        score = np.random.default_rng(seed).normal(size=(3, 1 + seed % 9)).cumsum(axis=1)
        expected = np.stack([isotonic_regression(row) for row in score])
        np.testing.assert_allclose(rising(score), expected, atol=1e-12)


def test_a_score_is_reached_between_points_at_the_first_or_never():
    costs, score = np.array([10.0, 20.0, 40.0]), np.array([0.2, 0.4, 0.8])
    assert reached(costs, score, 0.6) == pytest.approx(30)
    assert reached(costs, score, 0.1) == reached(costs, score, 0.2) == 10
    assert reached(costs, score, 0.8) == pytest.approx(40)
    assert np.isinf(reached(costs, score, 0.81))
    # A lucky first point does not count when the next ones are worse.
    assert reached(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.1, 0.6]), 0.5) == pytest.approx(2 + 0.2 / 0.3)
    assert reached(np.array([1.0, 2.0]), np.array([0.3, 0.3]), 0.3) == 1


def test_the_area_is_the_mean_height_over_the_samples_however_they_are_spaced():
    uneven = Curves.of([[_point(0, 0.0), _point(10, 1.0), _point(40, 1.0)]])
    assert uneven.areas()[0] == pytest.approx((5 + 30) / 40)


def test_an_interval_of_one_seed_is_a_point_and_of_many_holds_the_mean():
    assert mean_interval(np.array([0.3])) == (0.3, 0.3)
    low, high = mean_interval(np.random.default_rng(0).normal(5, 1, 100))
    assert 4.6 < low < 5 < high < 5.4


def test_half_the_labels_are_half_saved_and_what_is_not_reached_has_no_figure():
    slow, fast = [0.0, 0.25, 0.5, 0.75, 1.0], [0.0, 0.5, 1.0, 1.0, 1.0]
    runs = _runs({"uniform": slow, "fast": fast, "flat": [0.0] * 5}, noise=1e-6)
    curves = {name: Curves.of([runs.points[RunKey(name, s)] for s in range(8)]) for name in runs.names}
    found = reaches(curves, "uniform", 0.8, "labels")
    assert found["uniform"].needed == pytest.approx(4 * (20 + 64), abs=0.1)
    assert found["fast"].saved == pytest.approx(1 - (20 + 32) / (20 + 64), abs=1e-3)
    assert found["fast"].saved_low <= found["fast"].saved <= found["fast"].saved_high
    assert (found["flat"].needed, found["flat"].saved, found["flat"].high) == (None, None, None)
    late = reaches({**curves, "uniform": curves["flat"]}, "uniform", 0.8, "seconds")["fast"]
    assert late.saved is None and late.at_least == pytest.approx(1 - (20 + 32) / 100, abs=1e-3)
    unreached = reaches(curves, "uniform", 1.5, "seconds")
    assert all(reach.needed is None and reach.saved is None for reach in unreached.values())


def test_areas_are_compared_over_the_same_stretch_of_time():
    """One curve, followed twice as far by the one who spends more in a round, is no better curve."""
    near, far = np.linspace(0, 100, 11)[None], np.linspace(0, 200, 11)[None]

    def curves(seconds):
        score = 1 - np.exp(-seconds / 100)
        return Curves(seconds, seconds, seconds, score)

    areas = areas_together({"near": curves(near), "far": curves(far)}, "seconds")
    assert areas["far"] == pytest.approx(areas["near"], abs=0.01)
    assert curves(far).areas("seconds") > curves(near).areas("seconds") + 0.1


def test_rounding_is_no_evidence_in_strata_either():
    gaps, strata = np.full(10, 1e-17), np.repeat([0, 1], 5)
    assert wilcoxon(gaps, np.zeros(10), strata) == 1.0


def test_chances_are_those_of_the_signed_rank_test():
    gaps = np.array([0.1, 0.4, 0.2, 0.3, 0.7, 0.6])
    assert wilcoxon(gaps, np.zeros(6)) == pytest.approx(2 / 2**6)
    assert wilcoxon(gaps, gaps) == 1.0
    assert wilcoxon(gaps, gaps + 1e-16) == 1.0
    assert wilcoxon(-gaps, np.zeros(6)) == wilcoxon(gaps, np.zeros(6))


def test_wilcoxon_counts_every_choice_of_signs_also_of_equal_and_no_gaps():
    signs = np.array(list(product([-1, 1], repeat=7)))
    for seed in range(20):
        gaps = np.random.default_rng(seed).integers(-3, 4, 7) / 30  # of areas between few test samples
        ranks = np.where(gaps != 0, rankdata(np.abs(gaps)), 0)
        lean = np.abs(signs @ ranks)
        expected = (lean >= np.abs((np.sign(gaps) * ranks).sum()) - 1e-9).mean()
        assert wilcoxon(gaps, np.zeros(7)) == pytest.approx(expected)
    assert wilcoxon(np.full(5, 0.1), np.zeros(5)) == pytest.approx(2 / 2**5)  # five can never be significant


def test_a_set_with_large_scores_does_not_decide_for_all():
    """Five small losses on one set and four large gains on another are no gain."""
    gaps = np.array([-0.01, -0.012, -0.011, -0.013, -0.014, 5.0, 6.0, 7.0, 8.0])
    sets = np.array([0] * 5 + [1] * 4)
    assert wilcoxon(gaps, np.zeros(9), sets) > wilcoxon(gaps, np.zeros(9))


def test_holms_correction_is_that_of_the_textbook():
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}


@pytest.mark.parametrize("comparisons", [1, 2, 5, 20])
def test_with_one_seed_less_than_needed_not_even_a_gain_with_each_seed_shows(comparisons):
    needed = seeds_needed(comparisons)

    def best(seeds):
        return comparisons * wilcoxon(np.linspace(1, 2, seeds), np.zeros(seeds))

    assert best(needed) < 0.05
    assert best(needed - 1) >= 0.05 or needed == 5


def test_duels_count_each_seed_once_and_both_sides_agree():
    areas = {"a": np.array([0.5, 0.5, 0.5]), "b": np.array([0.4, 0.5, 0.6])}
    assert duels(areas) == [
        {"strategy": "a", "against": "b", "win": 1, "tie": 1, "loss": 1},
        {"strategy": "b", "against": "a", "win": 1, "tie": 1, "loss": 1},
    ]


SLOW, FAST = [0.3, 0.5, 0.6, 0.65], [0.3, 0.6, 0.66, 0.7]


def test_a_gain_is_called_one_and_what_is_saved_is_said():
    found = outcome(_runs({"uniform": SLOW, "fast": FAST}, full=0.66))
    assert found.verdict[0].startswith("fast is better than uniform, by +6")
    assert re.search(r"it needs fewer labels, by \d\d % \(\d\d to \d\d\)$", found.verdict[0])
    assert found.results["fast"].p < 0.05
    headroom = 0.66 - found.results["uniform"].area
    assert found.results["fast"].normalised == pytest.approx(found.results["fast"].gain / headroom, abs=0.01)


def test_a_loss_is_called_one():
    found = outcome(_runs({"uniform": FAST, "slow": SLOW}))
    assert found.verdict == [line for line in found.verdict if line.startswith("slow is worse than uniform")]


def test_no_detectable_gain_is_a_verdict():
    found = outcome(_runs({"uniform": SLOW, "same": SLOW}, noise=0.05))
    assert found.verdict[0].startswith("no detectable gain of same")


def test_noise_is_rarely_called_a_gain():
    claims, rng = 0, np.random.default_rng(8)
    for _ in range(30):
        runs = _runs({"uniform": SLOW, "a": SLOW, "b": SLOW}, noise=0.0)
        noisy = {
            unit: [replace(p, score=p.score + shift) for p in points]
            for unit, points in runs.points.items()
            for shift in [rng.normal(0, 0.02)]
        }
        found = outcome(replace(runs, points=noisy))
        claims += any("better" in line or "worse" in line for line in found.verdict)
    assert claims <= 5  # 1.5 are expected; more than 5 come with probability 0.004


def test_few_seeds_prove_nothing_however_large_the_gain():
    found = outcome(_runs({"uniform": SLOW, "fast": [1, 1, 1, 1]}, seeds=3))
    assert found.verdict == ["3 seeds prove nothing: use --seeds 6 or more"]
    assert found.results["fast"].p is None
    five = outcome(_runs({"uniform": SLOW, "fast": [1, 1, 1, 1]}, seeds=5))
    assert five.verdict[0].startswith("no detectable gain of fast")
    assert five.verdict[1].startswith("5 seeds cannot show a gain among 1 strategy")


def test_without_headroom_nothing_is_normalised_or_saved_and_it_is_said():
    found = outcome(_runs({"uniform": SLOW, "other": FAST}, full=0.5))
    assert found.verdict[0].startswith("no headroom")
    assert found.results["other"].normalised is None
    reached = [by_name["other"] for by_unit in found.reach.values() for by_name in by_unit.values()]
    assert any(reach.needed is not None for reach in reached)
    shares = {(reach.saved, reach.saved_low, reach.saved_high, reach.at_least) for reach in reached}
    assert shares == {(None,) * 4}


def test_the_page_needs_no_network_shows_what_was_not_reached_and_runs_nothing_it_was_told(tmp_path):
    found = outcome(_runs({"uniform": SLOW, "fast": FAST}))
    paths = write_report(found, tmp_path / "out", title="<script>alert(1)</script>", basis="a & b")
    text = paths["page"].read_text(encoding="utf-8")
    assert "<script>" not in text and "&lt;script&gt;" in text and "a &amp; b" in text
    assert "not reached" in text and 'src="data:image/png;base64,' in text
    assert "http" not in text
    assert text == page(found, paths["picture"].read_bytes(), "<script>alert(1)</script>", "a & b")


def test_the_table_has_every_point_and_the_same_figures_make_the_same_files(tmp_path):
    found = outcome(_runs({"uniform": SLOW, "power:bald": FAST}))
    rows = list(csv.DictReader(points(found).splitlines()))
    assert len(rows) == 2 * 8 * 4
    assert {row["strategy"] for row in rows} == {"uniform", "power:bald"}
    assert float(rows[0]["sentiment.M Corr"]) == float(rows[0]["score"])
    one, other = (write_report(found, tmp_path / name, title="t", basis="b") for name in "ab")
    assert all(one[key].read_bytes() == other[key].read_bytes() for key in one)
