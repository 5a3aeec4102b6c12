"""What importing costs: in modules, always; in time, against the official SDK in one run."""

import json
from collections.abc import Callable

import pytest
from interpreters import in_fresh_interpreter

HEAVY = ("aiohttp", "click", "rich")
# Everything public that needs no network, and one toggle in memory.
EVERY_NAME = """
import cfsso
for name in cfsso.__all__:
    if name != "AiohttpTransport":
        getattr(cfsso, name)
cloud = cfsso.CloudflareEmulator()
account = cloud.add_account()
seeded = cloud.add_connector(account, email_domain="example.com", status="verified")
connectors = cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(cloud))
"""


@pytest.mark.parametrize("code", ["import cfsso", EVERY_NAME], ids=["import", "every-name"])
def test_nothing_heavy_is_loaded(code: str) -> None:
    """Neither the import nor any name that needs no network loads aiohttp, click or rich."""
    show = f"\nimport json, sys; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    assert [] == json.loads(in_fresh_interpreter(code + show))


def test_aiohttp_is_loaded_by_what_needs_it() -> None:
    """The check above can fail: the one name that speaks HTTP loads aiohttp."""
    code = "import cfsso, sys; cfsso.AiohttpTransport; print('aiohttp' in sys.modules)"
    assert "True" == in_fresh_interpreter(code).strip()


def cost(code: str) -> float:
    """Return the CPU seconds that *code* takes in a fresh interpreter."""
    timed = f"import time; began = time.process_time()\n{code}\nprint(time.process_time() - began)"
    return float(in_fresh_interpreter(timed))


def test_cost_against_the_official_sdk(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """Every name that needs no network costs at most 0.30 of `import cloudflare`."""
    pairs = [(cost(EVERY_NAME), cost("import cloudflare")) for _ in range(8)][1:]
    # The least of each: what else the machine does can only add to it.
    ours, theirs = (min(side) for side in zip(*pairs, strict=True))
    record_testsuite_property("import-ratio", ours / theirs)
    assert 0.30 >= ours / theirs, f"{ours:.3f} s against {theirs:.3f} s"
