"""Names are spelled as their owners spell them, wherever one is given."""

from __future__ import annotations

import pytest

from app.errors import Invalid
from app.services import api_keys, business_units, inboxes, roles

PERSIAN = "خانه\u200cها"  # "houses": its parts are kept apart by a joiner
FAMILY = "👩\u200d👧"
UNSEEN = "North\u200b"

GIVEN = {
    "key": lambda owner, name: api_keys.create(owner, name, ["events:read"]),
    "unit": lambda owner, name: business_units.put(owner, "n-1", name),
    "inbox": inboxes.create,
    "role": lambda owner, name: roles.create(owner, f"a {name}", []),
}


@pytest.mark.parametrize("thing", GIVEN)
def test_a_name_may_be_spelled_with_joiners_but_not_with_what_nobody_sees(owner, thing):
    GIVEN[thing](owner, PERSIAN)
    GIVEN[thing](owner, FAMILY)

    with pytest.raises(Invalid):
        GIVEN[thing](owner, UNSEEN)
