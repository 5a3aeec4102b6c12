"""How the documentation is built; `nox -s docs` does it."""

import enum
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

import cfsso

project = "cfsso"
author = "The cfsso maintainers"
copyright = author
version = release = cfsso.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "examples"]
html_theme = "furo"
html_title = f"cfsso {release}"

myst_heading_anchors = 3
default_role = "py:obj"
nitpicky = True
# Without a network there are no inventories of other projects to link to.
nitpick_ignore_regex = [
    (r"py:.*", r"(aiohttp|asyncio|attrs?|collections|contextlib|datetime|dt|enum|os|pathlib)\..*"),
    (r"py:.*", r"(typing|types)\..*"),
    (r"py:class", r"(cfsso\.testing\.\w+\.)?(T|Ts)"),
    # Rooms behind the front door; what is public of them is documented as cfsso.…
    (r"py:.*", r"cfsso\.(_\w+|fleet\._\w+|emulator|errors|transports)\..*"),
    (r"py:obj", r"MAX_BODY"),
]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
add_module_names = False


def link_to_the_front_door(app: Sphinx, env: Any, node: Any, text: nodes.TextElement) -> Any:
    """Link a name, wherever it is defined, to where it is public and documented."""
    name, *members = node.get("reftarget", "").removeprefix("cfsso.").split(".")
    # cfsso.models.SSOConnector.id: rooms come first and are in lower case.
    while members and name.lower() == name and name not in cfsso.__all__:
        name, *members = members
    if node.get("refdomain") != "py" or name not in cfsso.__all__:
        return None
    target = ".".join(["cfsso", name, *members])
    domain = env.domains["py"]
    source = node.get("refdoc", "")
    return domain.resolve_xref(env, source, app.builder, "obj", target, node, text)


def simplify(*event: Any) -> tuple[str, str | None] | None:
    """Drop signatures that say nothing: an enum's, and that of CfssoError once more."""
    _app, what, name, value, _options, signature, returns = event
    if not signature or what not in {"class", "exception"}:
        return None
    if name != "cfsso.CfssoError" and issubclass(value, (cfsso.CfssoError, enum.Enum)):
        return ("", None)
    # A default that attrs makes anew for each value shows as NOTHING.
    return (signature.replace("= NOTHING", "= ..."), returns)


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-signature", simplify)
    app.connect("missing-reference", link_to_the_front_door)
