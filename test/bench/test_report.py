"""Results kept, merged, compared and drawn, without any server."""

import html.parser
import json
import pathlib
import tomllib
import xml.etree.ElementTree

import pytest
from weircompare import cli, experiment, report, results, svg, terminal
from weircompare.trouble import Trouble

SERVERS = ("sped", "amped", "mt", "nginx")
VOID = ("meta", "br", "link", "img", "input", "hr")


def run_of(found, server, point, repetition, factor):
    measures = {}
    for plot in found.plots:
        for i, name in enumerate(plot.measures):
            measures[name] = 10.0 ** (i + 1) * factor + repetition
    for name in found.columns:
        measures.setdefault(name, 3.0 * factor)
    return {"experiment": found.name, "server": server, "point": point,
            "repetition": repetition, "pool": 4, "is_pool_sweep": False,
            "time": 0, "marks": ["load is full"] if server == "mt" else [],
            "measures": measures, "ok": True, "streams": {},
            "loads": {"hot": ["pace", "<&>"]}, "command": ["weir"],
            "configuration": "Listen 1"}


def made_up(*names, factor=1.0):
    found = results.Results({"command": "weir-compare <quick>",
                             "machine": {"kernel": "6"}, "servers": {}})
    for name in names:
        one = experiment.load(name)
        found.experiments[name] = {
            "file": one.path.read_text(), "path": one.path.name,
            "seconds": 1, "repeat": 2, "values": list(one.full.values),
            "settings": {"AcceptLimit": 64}, "disk": "", "memory": "",
            "notes": ["A note with <angles>."]}
        for point in one.full.values:
            for i, server in enumerate(SERVERS):
                for repetition in range(2):
                    found.add(run_of(one, server, point, repetition,
                                     factor * (1 + i)))
    return found


class Balance(html.parser.HTMLParser):
    """Fails where an element is closed that is not open."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check_page(text):
    parser = Balance()
    parser.feed(text)
    assert not parser.open
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "<angles>" not in text
    return text


def test_the_page_is_whole_and_needs_nothing_else():
    text = check_page(report.page(made_up(*experiment.available())))
    for name in experiment.available():
        assert text.count(f'id="{name}"') == 1
    assert text.count("<svg") >= 5
    for drawing in text.split("<svg")[1:]:
        xml.etree.ElementTree.fromstring(
            "<svg" + drawing.partition("</svg>")[0] + "</svg>")
    data = text.partition('id="runs">')[2].partition("</script>")[0]
    assert json.loads(data)[0]["server"] == "sped"


def test_what_is_missing_is_said():
    found = made_up("cached-small")
    found.add({**found.runs[0], "ok": False, "server": "mp",
               "trouble": "mp died <here>", "measures": {}})
    found.miss("cached-small", "lighttpd", "it is not installed")
    found.miss("", "the rest", "stopped by SIGINT")
    text = check_page(report.page(found))
    assert "mp died &lt;here&gt;" in text and "1 run failed" in text
    assert "it is not installed" in text and "stopped by SIGINT" in text
    assert "not measured" in text  # the claims about mp


def test_the_least_pool_that_is_as_good_as_the_best_is_kept():
    found = made_up("disk-four-arms")
    one = experiment.load("disk-four-arms")
    found.runs.clear()
    for size, wait in ((16, 90), (32, 4.1), (64, 4), (128, 4.4)):
        for repetition in range(2):
            run = run_of(one, "mt", 0, repetition, 1)
            run.update(pool=size, is_pool_sweep=True)
            run["measures"]["hot.p90_ms"] = wait + repetition / 100
            found.add(run)
    assert terminal.best_pools(found, "disk-four-arms", one)["mt"][0] == 32
    text = terminal.pools_text(found, "disk-four-arms", one, "a command")
    kept = tomllib.loads(text.partition("\n\n")[2])["pools"]["mt"]
    assert kept["size"] == 32 and kept["swept"]["64"] == 4.005
    assert "Pool sizes" in check_page(report.page(found))


def test_nothing_measured_is_still_a_page():
    found = made_up("slow-clients")
    found.runs.clear()
    assert "Nothing was measured" in check_page(report.page(found))


def test_ledgers_are_shown():
    found = made_up("cached-small")
    found.add_ledger({"experiment": "cached-small", "server": "sped",
                      "connections": 1, "requests": 100, "pool": 0,
                      "calls": {"sendto": 1.0, "epoll_wait": 1.01},
                      "switches": [0.5, 0.0], "faults": 0,
                      "board": {"hand_overs": 0.0}})
    text = check_page(report.page(found))
    assert "2.01" in text and "sendto 1.00" in text and "hand-overs" in text


def test_kept_and_read_again(tmp_path):
    one = made_up("cached-small")
    one.write(tmp_path / "a")
    again = results.read(tmp_path / "a")
    assert again.runs == one.runs and again.about == one.about
    lines = (tmp_path / "a" / "results.csv").read_text().splitlines()
    assert len(lines) == 1 + len(one.runs)


@pytest.mark.parametrize("text", ["", "[]", '{"version": 0}', "{"])
def test_what_is_no_result_is_refused(tmp_path, text):
    with pytest.raises(Trouble):
        results.read(tmp_path)
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(Trouble):
        results.read(tmp_path)


def test_merged_repetitions_add_up():
    one = made_up("cached-small")
    whole = results.merge([one, made_up("cached-small", "slow-clients")])
    assert set(whole.experiments) == {"cached-small", "slow-clients"}
    point = one.points("cached-small")[0]
    assert len(whole.values("cached-small", "sped", point, "cpu_us")) == 4


def test_differences_are_those_beyond_the_noise():
    old, new = made_up("cached-small"), made_up("cached-small", factor=1.5)
    same = results.differences(old, made_up("cached-small"),
                               lambda name: ["cpu_us"])
    assert same == []
    found = results.differences(old, new, lambda name: ["cpu_us"])
    assert len(found) == len(SERVERS) * len(old.points("cached-small"))
    assert all(1 < line[6] < 2 for line in found)


def test_best_is_less_of_a_cost_and_more_of_a_rate():
    found = made_up("cached-small")
    first, *_, last = found.points("cached-small")
    for run in found.runs:
        run["measures"] = {"page.rate": run["point"], "cpu_us": run["point"]}
    assert found.best_point("cached-small", "sped", "page.rate") == last
    assert found.best_point("cached-small", "sped", "cpu_us") == first


def test_the_command_line_draws_and_compares(tmp_path, capsys):
    made_up("cached-small").write(tmp_path / "a")
    made_up("cached-small", factor=2.0).write(tmp_path / "b")
    a, b, out = (str(tmp_path / n) for n in "abc")
    assert cli.main(["report", a, b, "--out", out]) == 0
    assert (pathlib.Path(out) / "index.html").exists()
    assert "A small file" in capsys.readouterr().out
    assert cli.main(["diff", a, b]) == 0
    assert "times" in capsys.readouterr().out
    assert cli.main(["diff", a, a]) == 0
    assert "Nothing differs" in capsys.readouterr().out
    assert cli.main(["report", str(tmp_path / "none")]) == 2


# Drawing.

@pytest.mark.parametrize("values, is_log", [
    ([3], False), ([0, 0], False), ([1, 1000000], True), ([0.02, 0.03], True),
    ([5, 7, 1234], False), ([], True), ([0], True),
])
def test_axes_hold_their_values(values, is_log):
    axis = svg.axis_over(values, is_log)
    assert axis.low < axis.high
    for value in values:
        if value > 0 or not is_log:
            assert axis.low <= value <= axis.high * 1.0001
    for room in (2, 4, 8):
        found = svg.ticks(axis, room)
        assert 1 <= len(found) <= room + 2
        assert all(axis.low * 0.99 - 1e-9 <= t <= axis.high * 1.01 + 1e-9
                   for t in found)


def test_styles_differ_and_stay():
    names = ("sped", "amped", "mt", "mp", "hybrid", "proactor", "nginx",
             "httpd", "lighttpd")
    found = svg.styles(names)
    assert len({s.colour for s in found.values()}) == len(names)
    assert len({s.marker for s in found.values()}) == len(names)
    assert svg.styles(["mt"], names)["mt"] == found["mt"]


def test_texts_stay_within_the_drawing():
    series = [svg.Series(f"server{i}", [(1, 1e6, 9e5, 2e6), (4096, 3, 3, 3)])
              for i in range(8)]
    style_of = svg.styles([s.name for s in series])
    drawn = svg.lines_plot("T", "connections", "requests/s", series, style_of,
                           "A note that is long. " * 12)
    tree = xml.etree.ElementTree.fromstring(drawn)
    height = float(tree.get("viewBox").split()[3])
    texts = list(tree.iter("{http://www.w3.org/2000/svg}text"))
    assert len(texts) > 20
    for text in texts:
        size = float(text.get("font-size"))
        width = len(text.text) * size * 0.54
        start = float(text.get("x")) - {"start": 0, "middle": width / 2,
                                        "end": width}[text.get("text-anchor")]
        assert start >= -1 and start + width <= svg.WIDTH + 1, text.text
        assert 0 < float(text.get("y")) <= height
