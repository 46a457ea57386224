"""Medians, spreads, ratios."""

from weircompare import stats


def test_spread_is_half_the_width_of_all():
    assert stats.spread([10]) == 0
    assert stats.spread([9, 10, 12]) == 0.15
    assert stats.spread([0, 0]) == 0


def test_noise_is_never_below_its_floor():
    assert stats.noise([100, 101], [99]) == stats.NOISE_FLOOR
    assert stats.noise([100, 100], [80, 100, 120]) == 0.2


def test_one_disturbed_repetition_is_no_scatter():
    assert stats.scatter([1, 1.01, 2, 1.02, 1]) == stats.NOISE_FLOOR
    assert round(stats.scatter([0.9, 0.8, 1, 1.1, 1.2]), 6) == 0.2
    assert round(stats.scatter([0.8, 0.81, 1.1]), 3) == 0.185
    # The more there are, the less their median can be off.
    five = [0.9, 0.8, 1, 1.1, 1.2]
    assert round(stats.scatter(five * 4), 6) == 0.1
    assert stats.scatter([1]) == stats.scatter([0, 0]) == stats.NOISE_FLOOR


def test_ratios_of_what_both_have():
    assert stats.paired_ratios({0: 10, 1: 30, 3: 1}, {0: 5, 1: 10, 2: 9}) \
        == [2, 3]
    assert stats.paired_ratios({0: 1}, {0: 0}) == []
