"""The API held against its own OpenAPI description: whatever a program sends, the answer is one that the description names."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks

from concord.edges.api.door import OPERATIONS
from concord.private import secrets
from concord.server import build
from concord.testing import states

load_all_checks()
NAMES = [f"{each.method} /api/v1{each.path}" for each in OPERATIONS]
SPOILED = [f"{each.method} /api/v1{each.path}" for each in OPERATIONS if each.query or each.takes or "{index}" in each.path]
BOUNDED = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    """The operations as a program reads them from a node with a bit of everything, by method and path."""
    node = states.lively()
    with node.private_writing() as db:
        token = secrets.make_token(db, "admin", "tests", ["read", "delegate", "clerk"], node.clock(), 30)
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", build(node))
    schema.config.update(headers={"Authorization": f"Bearer {token}"})
    return {made.ok().label: made.ok() for made in schema.get_all_operations()}


def test_the_description_is_one_of_every_operation(operations: dict[str, Any]) -> None:
    assert set(operations) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_is_one_that_the_description_names(operations: dict[str, Any], name: str) -> None:
    """What fits the description is never a crash, and its answer, good or not, fits the description, too."""

    @BOUNDED
    @given(case=operations[name].as_strategy(generation_mode=GenerationMode.POSITIVE), member=st.sampled_from(["ke", "br", ""]))
    def holds(case: schemathesis.Case, member: str) -> None:
        if member and "member" in case.path_parameters:
            case.path_parameters["member"] = member
        case.call_and_validate()

    holds()


@pytest.mark.parametrize("name", SPOILED)
def test_what_does_not_fit_the_description_is_refused(operations: dict[str, Any], name: str) -> None:
    @BOUNDED
    @given(case=operations[name].as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def holds(case: schemathesis.Case) -> None:
        case.call_and_validate()

    holds()
