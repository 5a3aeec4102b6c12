"""
What is checked, and how; ``nox -l`` lists it.

Versions of Python, groups of tools and their settings stand in pyproject.toml.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_external_run = True
nox.options.sessions = ["tests", "lint", "typing", "docs"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
# The time that goes into archives: any fixed one makes equal builds equal.
EPOCH = {"SOURCE_DATE_EPOCH": "1735689600"}


def _runs(version: str) -> bool:
    """Say whether there is such a Python; a version manager's shim may only look like one."""
    try:
        found = subprocess.run(  # noqa: S603 (the version comes from pyproject.toml)
            [f"python{version}", "-c", ""], capture_output=True, check=False
        )
    except OSError:
        return False
    return found.returncode == 0


def _pythons() -> list[str]:
    """Return the supported Pythons of this machine, and in any case the one that runs nox."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    others = [v for v in nox.project.python_versions(PYPROJECT) if v != own and _runs(v)]
    return [own, *others]


def _group(name: str) -> list[str]:
    return list(nox.project.dependency_groups(PYPROJECT, name))


def _build(session: nox.Session, folder: Path, *targets: str) -> list[Path]:
    """Build *targets*, ``wheel`` or ``sdist``, into the emptied *folder*; keep their order."""
    shutil.rmtree(folder, ignore_errors=True)
    session.install(*PYPROJECT["build-system"]["requires"])
    for target in targets:
        build = ["python", "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
        session.run(*build, env=EPOCH, silent=True)
    return [next(folder.glob("*.whl" if target == "wheel" else "*.tar.gz")) for target in targets]


_wheels: list[Path] = []


def _wheel(session: nox.Session) -> Path:
    """Return the wheel of this checkout, built once a run."""
    if not _wheels:
        _wheels.extend(_build(session, Path(session.cache_dir).resolve() / "wheel", "wheel"))
    return _wheels[0]


@nox.session(python=_pythons())
def tests(session: nox.Session) -> None:
    """Test the built wheel on every Python found; arguments go to pytest, with no coverage."""
    wheel = _wheel(session)
    session.install("--force-reinstall", "--no-deps", str(wheel))
    session.install(f"{wheel}[cli]", *_group("test"))
    # -P and importlib: without them the checkout would be imported, not the wheel.
    pytest = ["python", "-P", "-m", "pytest", "--import-mode=importlib", "-n", "auto"]
    gate = [] if session.posargs else ["--cov", "--cov-branch", "--cov-report=term-missing"]
    session.run(*pytest, *gate, *session.posargs, env={"CFSSO_TESTS_THE_WHEEL": "1"})


@nox.session
def simulate(session: nox.Session) -> None:
    """Let 2,000 worlds and 500 fleets run that nobody has seen; arguments go to the runner."""
    session.install(".", *_group("test"))
    every = [["--floors"], ["--scenario", "fleet", "--floors"]]
    for options in [session.posargs] if session.posargs else every:
        # -P: without it the checkout would be imported, not what was installed.
        session.run("python", "-P", "tests/simulation/run.py", *options)


@nox.session
def planted_bugs(session: nox.Session) -> None:
    """See that small planted bugs are found; arguments go to the script."""
    session.install(".[cli]", *_group("test"))
    session.run("python", "tests/simulation/plant.py", *session.posargs)


@nox.session
def foreign(session: nox.Session) -> None:
    """Let the official SDKs' tests and Schemathesis meet `cfsso emulator`; arguments name parts."""
    session.install(".[cli]", *_group("foreign"))
    suite = Path("tests/foreign").resolve()
    downloads = Path(session.create_tmp()).resolve() / "downloads"
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir()
    sdist = ["--require-hashes", "-r", str(suite / "official-sdk.txt")]
    pip = ["python", "-m", "pip", "download", "--no-deps", "--no-binary", "cloudflare"]
    session.run(*pip, "-d", str(downloads), *sdist, silent=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(suite / name, downloads)
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(downloads)]
    session.run(*npm, silent=True)
    # -P: without it the checkout would be imported, not what was installed.
    run = ["python", "-P", str(suite / "run_foreign.py"), "--downloads", str(downloads)]
    session.run(*run, *session.posargs)


@nox.session
def live(session: nox.Session) -> None:
    """Ask a real account which of the emulator's rules hold; off unless two variables are set."""
    variables = ("CFSSO_LIVE_TOKEN", "CFSSO_LIVE_ACCOUNT")
    if not all(os.environ.get(name) for name in variables):
        session.skip(f"off unless {' and '.join(variables)} are set; see docs/emulator.md")
    session.install(".")
    found = Path(session.create_tmp()).resolve() / "found"
    session.run("python", "-P", "tests/live/run_live.py", "--out", str(found), *session.posargs)


@nox.session
def crashes(session: nox.Session) -> None:
    """Kill 300 runs, hang up 20 rescues, cut 3 runs off; arguments go to the first of these."""
    session.install(".[cli]", *_group("test"))
    session.run("python", "-P", "tests/crashes/run.py", *(session.posargs or ["--trials", "300"]))
    if not session.posargs:
        session.run("python", "-P", "tests/crashes/hangups.py")
        session.run("python", "-P", "tests/crashes/outages.py")


@nox.session
def endurance(session: nox.Session) -> None:
    """Measure memory up to a million targets, and speed; arguments go to the former."""
    session.install(".", *_group("test"))
    session.run("python", "-P", "tests/crashes/endurance.py", *session.posargs)
    # Another program on the machine makes it slower; that is no failure.
    session.run("python", "-P", "tests/crashes/speed.py", success_codes=[0, 1])


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what cfsso costs beside others; arguments go to the runner."""
    session.install(".[cli]", *_group("bench"))
    # Without -P the checkout could be measured, not what was installed.
    session.run("python", "-P", "tests/benchmarks/run.py", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting, the direction of imports, and that docstrings are there."""
    session.install(".[cli]", *_group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")
    session.run("interrogate", "cfsso")
    session.run("interrogate", "--whitelist-regex=^(test_|Test)", "tests")
    session.run("pre-commit", "validate-config")


def _examples(folder: Path) -> Path:
    """Write the Python blocks of each page into a module of its own."""
    for page in [Path("README.md"), *Path("docs").glob("*.md")]:
        blocks = re.findall(
            r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
        )
        (folder / f"example_{page.stem}.py").write_text("\n".join(blocks), "utf-8")
    return folder


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types with mypy and pyright, both strict; those of the documentation too."""
    session.install(".[cli]", *_group("typing"))
    session.run("mypy", "--strict")
    session.run("mypy", "--strict", str(_examples(Path(session.create_tmp()))))
    session.run("pyright")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build; a warning is an error."""
    session.install(".[cli]", *_group("docs"))
    session.run("sphinx-build", "-q", "-W", "-n", "-E", "-b", "html", "docs", "docs/_build/html")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build twice, compare, look inside, and import from an empty folder."""
    folder = Path(session.cache_dir).resolve()
    wheel, sdist = _build(session, folder / "first", "wheel", "sdist")
    for again in _build(session, folder / "second", "wheel", "sdist"):
        if again.read_bytes() != (folder / "first" / again.name).read_bytes():
            session.error(f"{again.name} differs from build to build")

    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    if "cfsso/py.typed" not in packed:
        session.error("the wheel lacks py.typed")
    if strays := [n for n in packed if not n.startswith(("cfsso/", "cfsso-"))]:
        session.error(f"the wheel holds more than the package: {strays}")

    unpacked = folder / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    with session.chdir(next(unpacked.iterdir())):
        (rebuilt,) = _build(session, folder / "rebuilt", "wheel")
    if rebuilt.read_bytes() != wheel.read_bytes():
        session.error("the wheel built from the sdist differs from the one built from the checkout")

    session.install(str(wheel))
    with session.chdir(session.create_tmp()):
        session.run("python", "-P", "-c", "import cfsso; print(cfsso.__version__, cfsso.__file__)")
    session.log(f"{len(packed)} files, {wheel.stat().st_size // 1024} KiB")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz updates and give odd answers to everything, by fresh seeds; half an hour."""
    session.install(".[cli]", *_group("test"))
    # -P: without it the checkout would be imported, not what was installed.
    session.run("python", "-P", "tests/fuzz/updates.py", "--seeds", "2400", "--least", "20000")
    session.run("python", "-P", "tests/fuzz/odd_answers.py", "--answers", "50000")
