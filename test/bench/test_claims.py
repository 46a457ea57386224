"""Claims: what can be said, and what verdict comes of it."""

import pytest
from weircompare import claims
from weircompare.trouble import Trouble

MEASURED = {
    ("sped", "rate"): {0: 100, 1: 104, 2: 98},
    ("amped", "rate"): {0: 99, 1: 101, 2: 97},
    ("mt", "rate"): {0: 60, 1: 62, 2: 59},
    ("sped", "p90"): {0: 240, 1: 210, 2: 230},
    ("mt", "p90"): {0: 3, 1: 2, 2: 4},
    ("mt", "errors"): {0: 0, 1: 0, 2: 0},
    ("sped", "errors"): {0: 0, 1: 3, 2: 5},
    ("wild", "rate"): {0: 40, 1: 101, 2: 160},
}


def judge(text, each=(), measure="rate"):
    return claims.judge(
        claims.parse(text),
        lambda server, name: MEASURED.get((server, name or measure), {}), each)


@pytest.mark.parametrize("text, verdict", [
    ("sped > mt", claims.HOLDS),
    ("mt >= sped", claims.FAILS),
    ("mt >= sped within spread", claims.FAILS),
    ("sped >= 1.5 * mt", claims.HOLDS),
    ("sped >= 2 * mt", claims.FAILS),
    ("sped >= amped within spread", claims.EQUAL),
    ("amped >= sped within spread", claims.EQUAL),
    ("amped >= sped", claims.FAILS),
    ("sped >= amped >= mt within spread", claims.EQUAL),
    ("sped >= amped >= mp", claims.UNKNOWN),
    ("sped >= wild within spread", claims.NOISY),
    ("wild >= sped within spread", claims.NOISY),
    ("sped >= wild >= 5 * mt within spread", claims.FAILS),
    ("wild >= 0.9 * mt", claims.HOLDS),
    ("sped.p90 >= 50 * mt.p90", claims.HOLDS),
    ("mt.p90 < 5", claims.HOLDS),
    ("5 > mt.p90", claims.HOLDS),
    ("5 <= mt.p90", claims.FAILS),
    ("sped.errors >= mt.errors", claims.HOLDS),
    ("mt.errors >= sped.errors", claims.FAILS),
])
def test_verdicts(text, verdict):
    assert judge(text).verdict == verdict


def test_each_is_all_of_them():
    assert judge("each <= sped", ["amped", "mt"]).verdict == claims.HOLDS
    found = judge("each >= 0.9 * sped", ["amped", "mt"])
    assert found.verdict == claims.FAILS
    assert "mt / 0.9 * sped" in found.details[1]


def test_who_was_not_measured_is_said_and_decides_nothing():
    found = judge("each < 5", ["mt", "mp"], "p90")
    assert found.verdict == claims.HOLDS
    assert "mp was not measured" in found.details[1]
    assert judge("each < 5", ["mp"], "p90").verdict == claims.UNKNOWN


@pytest.mark.parametrize("ratios, verdict", [
    ([2, 1.01, 0.99, 0.98, 1.02], claims.EQUAL),  # disturbed once
    ([2, 1.01, 0.99], claims.NOISY),
    ([1.1, 1.3, 1.2, 1.4, 1.1], claims.FAILS),  # each says so
    ([1.1, 1.3], claims.FAILS),
    ([1.1, 1.4], claims.FAILS),
    ([0.8, 1.3, 1.2, 1.4, 0.9], claims.NOISY),
])
def test_what_scatters_decides_nothing(ratios, verdict):
    values = {"a": dict(enumerate(ratios)),
              "b": dict.fromkeys(range(len(ratios)), 1)}
    found = claims.judge(claims.parse("a <= b within spread"),
                         lambda server, _: values[server])
    assert found.verdict == verdict


def test_ratios_are_taken_within_a_repetition():
    """The machine slows down by half: the medians alone would mislead."""
    values = {"a": {0: 110, 1: 55, 2: 54}, "b": {0: 100, 1: 50, 2: 49}}
    found = claims.judge(claims.parse("a >= 1.05 * b"),
                         lambda server, _: values[server])
    assert found.verdict == claims.HOLDS
    values["b"].pop(0)
    assert claims.judge(claims.parse("a > b"),
                        lambda server, _: values[server]
                        ).verdict == claims.HOLDS


@pytest.mark.parametrize("text", [
    "", "sped", "1 < 2", "sped >=", "sped >= >= mt", "sped mt", "sped = mt",
    "sped >= 2 *", "* sped > mt", "sped ! mt", "within spread", "2 * > sped",
])
def test_nonsense_is_refused_by_name(text):
    with pytest.raises(Trouble, match="claim"):
        claims.parse(text)
