"""The documentation leads where it says, and its commands are those of the program."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer.main

from console.cli import app
from contracts.envelope import WireMessage, decoded, encoded
from contracts.payload import PayloadRegistry
from contracts.stage_payloads import PAYLOADS
from dispatcher.pipeline_folder import PipelineFolders
from tests.pipelines.harness import run_pipeline

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
SAMPLES = ROOT / "contracts" / "samples"
_NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
_LINES = re.MULTILINE | re.DOTALL
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", _LINES)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_PLACE = re.compile(r"(?:/work|/root|/home|/Users|/tmp)/\S+|file://\S*|[A-Z]:\\Users\\\S+")
_REGISTRY = re.compile(r"files\.pythonhosted\.org|pypi\.org/simple|index-url|/simple/")
_SHOWN_WITH = {"/tmp/demo"}
"""Examples in the commands' own help: a folder that anyone may have."""


@pytest.fixture(params=PAGES, ids=_NAMES)
def page(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """To a file that exists, and to a heading that is on it."""
    astray = [link for link in _links(page) if not _leads_somewhere(page, link)]

    assert astray == []


def test_every_command_shown_exists(page: Path) -> None:
    """Each `fleet ...` line of a shell block names a command and options that it has."""
    wrong = [line for line in _fleet_lines(page) if not _understood(line)]

    assert wrong == []


def test_no_page_names_a_place_of_one_machine_or_a_registry(page: Path) -> None:
    """What is told is told for every reader's machine."""
    text = page.read_text(encoding="utf-8")

    assert set(_PLACE.findall(text)) - _SHOWN_WITH == set()
    assert _REGISTRY.findall(text) == []


def test_every_page_is_in_the_index() -> None:
    """docs/README.md leads to each page under docs/."""
    index = ROOT / "docs" / "README.md"
    led_to = {(index.parent / link.partition("#")[0]).resolve() for link in _links(index)}

    assert {page for page in PAGES if page.parent != ROOT and page != index} - led_to == set()


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "pictures").glob("*.svg")), ids=str)
def test_no_picture_fetches_anything(picture: Path) -> None:
    """A picture is whole by itself: no font, image or style from elsewhere."""
    text = picture.read_text(encoding="utf-8")

    assert re.findall(r"@font-face|@import|url\((?!#)|(?:href|src)=\"(?!#)", text) == []


def test_the_envelope_page_shows_the_stored_sample() -> None:
    """The sample on the page is the stored one, to the letter."""
    text = (ROOT / "docs" / "reference" / "envelope.md").read_text(encoding="utf-8")
    stored = (SAMPLES / "leaf.task.compute.sql.v1.json").read_text(encoding="utf-8")

    assert f"```json\n{stored}```" in text


def test_the_envelope_page_names_every_attribute() -> None:
    """Each property that an encoded envelope carries has its row."""
    text = (ROOT / "docs" / "reference" / "envelope.md").read_text(encoding="utf-8")
    sample = json.loads((SAMPLES / "leaf.task.compute.sql.v1.json").read_text(encoding="utf-8"))
    sample["body"] = json.dumps(sample["body"]).encode()

    for name in encoded(decoded(WireMessage.model_validate(sample))).properties:
        assert f"`{name.removeprefix('cloudEvents:')}`" in text


def test_the_tutorial_builds_a_pipeline_that_runs(tmp_path: Path) -> None:
    """Its files, as the page writes them, give the figures that the page tells."""
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    for path, _, body in re.findall(r"^cat > (\S+) <<'(\w+)'\n(.*?)^\2$", text, _LINES):
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(body, encoding="utf-8")

    PipelineFolders([tmp_path / "mine/pipelines"], PayloadRegistry(PAYLOADS)).load("open_invoices")
    finished = run_pipeline(
        "open_invoices",
        {"source": "data"},
        {"data": str(tmp_path / "mine" / "data")},
        tmp_path / "run",
        root=tmp_path / "mine" / "pipelines",
    )

    packet = json.loads(finished.path("packet", "packet.json").read_text(encoding="utf-8"))
    assert [row[0] for row in packet["tables"][0]["rows"]] == [1003, 1002]
    assert [row[-1] for row in packet["tables"][0]["rows"]] == [10000, 3050]
    assert finished.facts["checked", ""] == {"accepted": 4, "rejected": 1, "date_is_real": 1}


def _links(page: Path) -> Iterator[str]:
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    for link in _LINK.findall(text):
        if not re.match(r"[a-z]+:", link):
            yield link


def _leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = unquote(link).partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return False
    return not anchor or anchor in _anchors(target)


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.strip().lower()).replace(" ", "-") for h in headings}


def _fleet_lines(page: Path) -> Iterator[str]:
    """Commands of shell blocks; what is written to a file by `cat <<` is none."""
    for language, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "sh":
            shell = re.sub(r"<<'(\w+)'\n.*?^\1$", "", block, flags=_LINES)
            yield from re.findall(r"(?:^|&& |; )(?:\w+=\S+ )*(fleet .*)$", shell, re.MULTILINE)


def _understood(line: str) -> bool:
    group = typer.main.get_group(app)
    context = group.context_class(group, info_name="fleet")
    try:
        _, words, _ = group.make_parser(context).parse_args(shlex.split(line, comments=True)[1:])
        name, command, arguments = group.resolve_command(context, words)
        if name is None or command is None:
            return False
        command.make_context(name, arguments, parent=context)
    except typer.TyperException:
        return False
    return True
