"""Shape and type checks of every signature are switched on while testing, but for tests of whole runs."""

from jaxtyping import config, install_import_hook

install_import_hook("zarts", "beartype.beartype")

import pytest  # noqa: E402
import torch  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def searched(tmp_path_factory):
    """A finished search, for tests that only read it."""
    import zarts
    from small import SMALL

    torch.set_num_threads(1)
    return zarts.search(out=tmp_path_factory.mktemp("searched") / "run", **SMALL)


@pytest.fixture(scope="session")
def retrained(searched, tmp_path_factory):
    """Its retraining, for tests that only read it."""
    from small import TRAIN

    torch.set_num_threads(1)
    return searched.retrain(out=tmp_path_factory.mktemp("retrained") / "run", **TRAIN)


@pytest.fixture(scope="session")
def every(tmp_path_factory):
    """The file of a table of all cells of NAS-Bench-201."""
    from tables import write_every

    return write_every(tmp_path_factory.mktemp("tables") / "every.csv")


@pytest.fixture
def no_pictures(monkeypatch):
    """Runs draw nothing, which is half of the time of the smallest ones."""
    monkeypatch.setattr("zarts.api._new_search.draw_cells", lambda genotype, folder: [])
    monkeypatch.setattr("zarts.api._new_search.write_report", lambda run: run / "report.html")


@pytest.fixture
def unchecked():
    """Shapes and types are not looked at, which is half of the time of whole runs: enough others are checked."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture
def command(monkeypatch, capsys):
    """`zarts` in this process: words in; exit code, standard output and standard error without progress out."""
    import signal
    import sys

    import zarts.cli
    from zarts.callbacks.progress import _Lines

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(_Lines, "report", lambda lines, text: None)

    def run(*words):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["zarts", *map(str, words)])
        with pytest.raises(SystemExit) as exit_:
            zarts.cli.main()
        return exit_.value.code, *capsys.readouterr()

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def photos(tmp_path):
    """A folder of images without train/ and test/: three classes of sixteen images."""
    from PIL import Image

    root = tmp_path / "photos"
    for number, name in enumerate(("ant", "bee", "cat")):
        (root / name).mkdir(parents=True)
        for i in range(16):
            Image.new("RGB", (10, 10), (80 * number, 10 * i, 50)).save(root / name / f"{i:02}.png")
    return root
