"""The pipelines that ship, as the dispatcher reads them."""

import pytest

from contracts.payload import PayloadRegistry
from contracts.stage_payloads import PAYLOADS
from dispatcher.pipeline_folder import PipelineFolders
from tests.pipelines.harness import PIPELINES

FOLDERS = PipelineFolders([PIPELINES], PayloadRegistry(PAYLOADS))


def test_two_pipelines_ship() -> None:
    """guarantee_report and claims_reconciliation are there."""
    assert FOLDERS.names() == ["claims_reconciliation", "guarantee_report"]


@pytest.mark.parametrize("name", FOLDERS.names())
def test_a_shipped_pipeline_is_not_refused(name: str) -> None:
    """The dispatcher finds no fault in it."""
    assert FOLDERS.load(name).located.pipeline.name == name
