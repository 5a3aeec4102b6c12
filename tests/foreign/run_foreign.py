"""
Let programs that are not ours meet ``cfsso emulator``; see `nox -s foreign`.

Each part prints how many of its tests passed, and why if that is not all of them. Arguments
name parts; without any, all are run.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "helpers"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from commanded import COMMAND, ID, TOKEN, emulator, state, verified
from foreign_judging import Findings, explained, missed

HERE: Final = Path(__file__).resolve().parent
_SSO: Final = ["tests/api_resources/iam/test_sso.py"]
_VERIFY: Final = [f"tests/api_resources/{owner}/test_tokens.py" for owner in ("accounts", "user")]
_SEEDS: Final = (1, 2)
_OPERATIONS: Final = 6

_SCHEMATHESIS: Final = """
[dictionaries]
account = {{ values = ["{account}"] }}
connector = {{ values = {connectors} }}
domain = {{ values = {domains} }}

[parameters]
"path.account_id" = {{ dictionary = "account", probability = 0.9 }}
"path.sso_connector_id" = {{ dictionary = "connector", probability = 0.9 }}
"body.email_domain" = {{ dictionary = "domain", probability = 0.5 }}
"""


def python(options: argparse.Namespace, folder: Path) -> list[str]:
    """Run the tests of the official SDK for Python that speak of SSO or verify a token."""
    # All that the sdist's folder is named by is its release.
    (sdist,) = options.downloads.glob("cloudflare-*.tar.gz")
    shutil.unpack_archive(sdist, folder, filter="data")
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    problems = _pytest(source, _SSO, 130)
    return problems + _pytest(source, [*_VERIFY, "-k", "verify"], 35)


def _pytest(source: Path, arguments: Sequence[str], expected: int) -> list[str]:
    report = source / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "-p", "official_plugin"]
    # Their order is theirs, and so are all settings but for the options of the command line.
    command += ["-p", "no:randomly", "-o", "addopts=", f"--junitxml={report}", *arguments]
    own = os.pathsep.join(sys.path[:2])
    environment = {**os.environ, "PYTHONPATH": own}
    subprocess.run(command, cwd=source, env=environment, check=False)  # noqa: S603 - it is ours
    return _counted(report, expected)


def typescript(options: argparse.Namespace, folder: Path) -> list[str]:
    """Make the calls of the official SDK for TypeScript, of which npm serves no tests."""
    report, file = folder / "report.xml", folder / "state.json"
    file.write_text(json.dumps(state(verified(ID, "sso.example.org"))))
    facts = {"command": str(COMMAND), "state": str(file), "apiToken": TOKEN}
    facts |= {"account_id": ID, "sso_connector_id": ID}
    # Node looks for packages beside the script.
    script = shutil.copy(HERE / "sso.test.mjs", options.downloads)
    command = ["node", "--test", "--test-reporter=junit", f"--test-reporter-destination={report}"]
    environment = {**os.environ, "CFSSO_FOREIGN": json.dumps(facts)}
    subprocess.run([*command, script], env=environment, check=False)  # noqa: S603 - it is ours
    return _counted(report, 12)


def _counted(report: Path, expected: int) -> list[str]:
    if not report.exists():
        return ["it did not come to its end"]
    problems = missed(report, expected)
    if not problems:
        print(f"{expected} of {expected} passed")  # noqa: T201
    return problems


def schemathesis(options: argparse.Namespace, folder: Path) -> list[str]:
    """Let Schemathesis make up requests by the description of the six operations."""
    del options
    findings = Findings()
    with ThreadPoolExecutor() as pool:
        for lines in pool.map(lambda seed: _schemathesis(folder / str(seed), seed), _SEEDS):
            findings.add(lines)
    names = explained(HERE / "remarks.toml")
    print(f"{findings.cases:,} requests, seeds {', '.join(map(str, _SEEDS))}")  # noqa: T201
    for operation, status in sorted(findings.statuses):
        print(f"{findings.statuses[operation, status]:>6,}  {status}  {operation}")  # noqa: T201
    for kind, times in findings.remarks.items():
        print(f"{times:>6,}  {names.get(kind, 'NEW')}: {findings.examples[kind]}")  # noqa: T201
    return list(findings.problems(names, _OPERATIONS))


def _schemathesis(folder: Path, seed: int) -> Iterable[str]:
    """Run it with a *seed*, on an emulator of its own; return the lines of its report."""
    folder.mkdir()
    # So many that deleting one leaves the others something to find.
    ids = [ID, *(f"{number:032x}" for number in range(1, 300))]
    connectors = [verified(key, f"{number}.example.org") for number, key in enumerate(ids)]
    domains = [f"{number}.example.net" for number in range(300)]
    settings = _SCHEMATHESIS.format(account=ID, connectors=ids, domains=domains)
    (folder / "schemathesis.toml").write_text(settings)
    report = folder / "report.ndjson"
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(HERE / "openapi.yaml")]
    command += ["--header", f"Authorization: Bearer {TOKEN}", "--seed", str(seed)]
    command += ["--continue-on-failure", "--max-examples", "60", "--report", "ndjson"]
    command += ["--report-ndjson-path", str(report), "--url"]
    with emulator(state(*connectors), "--no-rate-limit") as url:
        # What it found is judged by its report, not by its exit code.
        subprocess.run(  # noqa: S603 - as above
            [*command, url], cwd=folder, check=False, stdout=subprocess.DEVNULL
        )
    return report.read_text("utf-8").splitlines()


PARTS: Final[dict[str, Callable[[argparse.Namespace, Path], list[str]]]] = {
    "python": python,
    "typescript": typescript,
    "schemathesis": schemathesis,
}


def main() -> int:
    """Do as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--downloads", type=Path, required=True, help="sdist and node_modules")
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}")
    options = parser.parse_args()
    failed = False
    for name in options.parts or PARTS:
        began = time.perf_counter()
        print(f"== {name}", flush=True)  # noqa: T201
        with tempfile.TemporaryDirectory() as folder:
            problems = PARTS[name](options, Path(folder).resolve())
        for problem in problems:
            print(f"{name}: {problem}", file=sys.stderr)  # noqa: T201
        print(f"== {name}: {time.perf_counter() - began:.0f} s", flush=True)  # noqa: T201
        failed = failed or bool(problems)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
