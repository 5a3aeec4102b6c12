"""
Connectors of which an operation has shown more than that they are some.

Only type checkers see these classes: `create` and `update` return an `SSOConnector`, and nothing
else, whose fields named here are never ``None``.
"""

from typing import TYPE_CHECKING

import attrs

from cfsso.models import SSOConnector

if TYPE_CHECKING:

    @attrs.frozen(kw_only=True)
    class EnabledConfirmed(SSOConnector):
        """It shows whether it is enabled."""

        enabled: bool = False

    @attrs.frozen(kw_only=True)
    class LanguageConfirmed(SSOConnector):
        """It shows which wording sign-in has."""

        use_fedramp_language: bool = False

    @attrs.frozen(kw_only=True)
    class BothConfirmed(EnabledConfirmed, LanguageConfirmed):
        """It shows both."""

        # Once more, since mypy takes what the first of the two says of it.
        use_fedramp_language: bool = False

    @attrs.frozen(kw_only=True)
    class Created(SSOConnector):
        """It shows its domain."""

        email_domain: str = ""

    @attrs.frozen(kw_only=True)
    class CreatedWithLanguage(Created, LanguageConfirmed):
        """It shows its domain, and which wording sign-in has."""

        use_fedramp_language: bool = False

else:
    EnabledConfirmed = LanguageConfirmed = BothConfirmed = SSOConnector
    Created = CreatedWithLanguage = SSOConnector
