"""The sample configurations: right as they stand, for every MPM."""

import pathlib

import pytest

SAMPLES = pathlib.Path(__file__).resolve().parents[2] / "conf" / "samples"
FOLDERS = ("example", "shop", "intern", "staging")


@pytest.fixture(scope="module")
def folder(session_dir):
    folder = session_dir / "samples"
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
    return folder


def test_there_are_some():
    assert len(list(SAMPLES.glob("*.conf"))) >= 6


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.conf")),
                         ids=lambda sample: sample.stem)
@pytest.mark.parametrize("define", [None, "DEVELOPING", "SYMPED"])
def test_sample(install, mpm, folder, sample, define):
    """As it stands, by the MPM that it chooses; and by the one under test."""
    args = ["-m", mpm, "-D", define] if define else []
    done = install.run("-t", "-f", sample, "-D", f"SITE={folder}", *args)
    assert (done.returncode, done.stdout + done.stderr) == (0, "Syntax OK\n")


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.conf")),
                         ids=lambda sample: sample.stem)
def test_sample_is_short_and_explained(sample):
    lines = sample.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert len(lines) < 80
    assert all(len(line) <= 80 for line in lines)
