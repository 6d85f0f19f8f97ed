"""One thing that was looked at, and what to do where it is not well."""

from enum import StrEnum

from contracts.fact import Fact


class Verdict(StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


class Finding(Fact):
    """What was found about one part. `remedy` is empty where nothing has to be done."""

    part: str
    verdict: Verdict
    says: str
    remedy: str = ""


def ok(part: str, says: str) -> Finding:
    return Finding(part=part, verdict=Verdict.OK, says=says)


def warning(part: str, says: str, remedy: str) -> Finding:
    return Finding(part=part, verdict=Verdict.WARNING, says=says, remedy=remedy)


def fault(part: str, says: str, remedy: str) -> Finding:
    return Finding(part=part, verdict=Verdict.FAULT, says=says, remedy=remedy)
