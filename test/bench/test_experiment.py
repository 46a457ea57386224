"""Experiment files: those there are, and mistakes in others."""

import pathlib
import tomllib

import pytest
from weircompare import cli, experiment, files
from weircompare.trouble import Trouble

GOOD = """
title = "T"
question = "Q"
warm = ["hot"]
[documents.hot]
count = 5
bytes = 100
[[load]]
name = "hot"
documents = ["hot"]
connections = "sweep"
[sweep]
name = "clients"
title = "connections"
values = [1, 4]
[full]
seconds = 1
repeat = 2
[[claim]]
says = "S"
holds = "sped > mt"
at = 4
"""


def parse(text):
    return experiment.parse(tomllib.loads(text), pathlib.Path("x.toml"))


@pytest.mark.parametrize("name", experiment.available())
def test_those_there_are_can_be_read(name):
    found = experiment.load(name)
    assert found.claims and found.plots and found.columns
    for plot in found.plots:
        assert plot.kind != "lines" or found.sweep


def test_quick_ones_are_there():
    assert set(cli.QUICK) <= set(experiment.available())


def test_what_is_read():
    found = parse(GOOD)
    assert found.quick == found.full
    assert found.clients(4) == 4
    assert [c.text for c in found.claims] == ["sped > mt"]


@pytest.mark.parametrize("old, new, why", [
    ('title = "T"', "", "title is missing"),
    ("count = 5", "count = 0", "less than 1"),
    ("count = 5", 'count = "5"', "should be"),
    ("count = 5", "coutn = 5", "count is missing"),
    ("bytes = 100", "bytes = 100\nsize = 3", "there is no size here"),
    ("repeat = 2", "repeat = 2\nsecond = 3", "did you mean seconds"),
    ('documents = ["hot"]', 'documents = ["hto"]', "did you mean hot"),
    ('warm = ["hot"]', 'warm = ["cold"]', "no documents cold"),
    ('holds = "sped > mt"', 'holds = "sped"', "compares no server"),
    ('holds = "sped > mt"', 'holds = "each > mt"', "each = "),
    ("at = 4", "at = 5", "no such value"),
    ('connections = "sweep"', "connections = 3", "need each other"),
    ('connections = "sweep"', 'connections = "some"', "a number or"),
    ('name = "hot"', 'name = "hot"\nprogram = "curl"', "there are hammer"),
    ('name = "hot"', 'name = "hot"\nprogram = "wrk"\nrate = 5', "only pace"),
    ('name = "hot"', 'name = "hot"\nfar = true', "need each other"),
    ("[full]", "[wan]\ndelay_ms = 5\n[full]", "need each other"),
    ("[full]", "[wan]\nkbit = 5\n[full]", "delay_ms is missing"),
    ("[full]", "[wan]\ndelay_ms = 0.5\n[full]", "should be int"),
    ("[full]", "[wan]\ndelay_ms = 5\nlost_of_1000 = 1001\n[full]",
     "not from 0 to 1000"),
    ("[full]", "[full", "x.toml|Expected"),
])
def test_mistakes_are_said_where_they_are(old, new, why):
    assert old in GOOD
    with pytest.raises((Trouble, tomllib.TOMLDecodeError), match=why):
        parse(GOOD.replace(old, new, 1))


def test_only_pace_can_be_far():
    far = GOOD.replace("[full]", "[wan]\ndelay_ms = 5\n[full]").replace(
        'name = "hot"', 'name = "hot"\nfar = true', 1)
    assert parse(far).wan.describe() == "5 ms either way"
    assert experiment.load("slow-lines").wan.describe() == (
        "50 ms either way, 256 kbit/s, queues of 32000 bytes")
    with pytest.raises(Trouble, match="only pace can be far"):
        parse(far.replace("far = true", 'far = true\nprogram = "hammer"'))


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(Trouble, match="did you mean cached-small"):
        experiment.load("cached-smal")


def test_documents_are_the_same_for_a_seed(tmp_path):
    kinds = [experiment.Documents("a", 3, 5000),
             experiment.Documents("z", 50, 10, "zipf")]
    for name in ("one", "two"):
        files.make(kinds, tmp_path / name, 7)
    one, two = ({p.relative_to(root): p.read_bytes()
                 for p in root.rglob("*") if p.is_file()}
                for root in (tmp_path / "one", tmp_path / "two"))
    assert one == two and len(one) == 53
    assert len(set(one[pathlib.Path(f"a/{i:05}")] for i in range(3))) == 3
    assert all(len(one[pathlib.Path(f"a/{i:05}")]) == 5000 for i in range(3))
    lines = files.list_of(kinds, 7)
    assert lines == files.list_of(kinds, 7) != files.list_of(kinds, 8)
    assert lines.count("/z/00000 z") > 5 * lines.count("/z/00049 z") > 0
