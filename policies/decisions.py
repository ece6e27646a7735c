"""What a rule says about a request and a pool, and why."""

from typing import Annotated

from pydantic import Field

from catalog.base import Value


class Rejection(Value):
    """One reason why a pool cannot take a request.

    `rule_id` names the rule document or built-in constraint that said no; `dimension` what it
    looked at (``memory_mib``, ``ha_restart``, ``country``); `limit` and `need` are what there is
    and what was asked, as text; `remedy` says what would make it possible.
    """

    rule_id: Annotated[str, Field(min_length=1)]
    pool: str
    dimension: str
    limit: str
    need: str
    why: Annotated[str, Field(min_length=1)]
    remedy: Annotated[str, Field(min_length=1)]

    def __str__(self) -> str:
        return f"{self.why}; {self.remedy}"
