"""What the documents say, compared with what is there."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOT_OURS = {".git", ".venv", ".hypothesis", "instance", "build", "dist", "node_modules", "__pycache__"}
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

FENCE = re.compile(r"^```.*?^```", re.M | re.S)
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)")
HEADING = re.compile(r"^#+ +(.*?) *#*$", re.M)
FILE_NAME = re.compile(
    r"(?<![\w/.*{}-])([\w.*-]+/)*[\w.*-]*\.(?:py|html|toml|css|js|svg|md|lock|yml|service|ini)(?![\w/-])"
)
FOLDER_NAME = re.compile(r"(?<![\w/.*{}<>-])([\w-]+/)+(?=`)")


def our_files() -> list[Path]:
    """Give every file that belongs to the project, relative to its root."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS and not name.endswith("_cache")]
        found += [(Path(folder) / name).relative_to(ROOT) for name in files if name not in NOT_OURS]
    return sorted(found)


def anchors(document: str) -> set[str]:
    """Give the fragments that a document's headings answer to, as GitHub makes them."""
    titles = [re.sub(r"[`*]|\[|\]\([^)]*\)", "", title) for title in HEADING.findall(FENCE.sub("", document))]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def dead_links(path: Path, text: str) -> list[str]:
    """Return the links of the document at `path` that lead nowhere, or out of the project."""
    dead = []
    for link in LINK.findall(CODE.sub("", FENCE.sub("", text))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not (target == path or (target.is_relative_to(ROOT) and target.exists())):
            dead.append(link)
        if fragment and target.suffix == ".md" and target.exists():
            known = anchors(target.read_text(encoding="utf-8"))
            dead += [link] if fragment not in known else []
    return dead


def paths_named(text: str) -> set[str]:
    """Return what looks like a file or a folder in code spans and in plain fenced blocks such as a tree."""
    spans = CODE.findall(FENCE.sub("", text)) + re.findall(r"^```\n(.*?)^```", text, re.M | re.S)
    files = {match.group() for span in spans for match in FILE_NAME.finditer(span)}
    return files | {match.group() for span in spans for match in FOLDER_NAME.finditer(span)}


def missing(names: set[str], files: list[Path]) -> list[str]:
    """Return the names that are neither a file nor a folder of the project, however far down."""

    def is_there(name: str) -> bool:
        if name.endswith("/"):
            return any(f"/{name}" in f"/{file.as_posix()}" for file in files)
        return any(file.match(name) for file in files)

    return sorted(name for name in names if not is_there(name))


def options_told(readme: str) -> dict[str, str]:
    """Return the rows of README's option table: name and last cell, without marks of code."""
    rows = [line.strip().strip("|").split(" | ") for line in readme.splitlines() if line.startswith("| `POSTROOM_")]
    return {re.findall(r"POSTROOM_\w+", row[0])[0]: row[-1].strip().replace("`", "") for row in rows}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path):
    assert dead_links(path, path.read_text(encoding="utf-8")) == []


def test_a_dead_link_is_seen():
    document = ROOT / "SECURITY.md"
    there = f"[a](#{min(anchors(document.read_text(encoding='utf-8')))}) [b](LICENSE) `[c](code.md)`"
    text = f"{there} [d](#nothing) [e](docs/none.md) [f](../elsewhere.md) [g](CONTRIBUTING.md#nothing)"

    assert dead_links(document, text) == ["#nothing", "docs/none.md", "../elsewhere.md", "CONTRIBUTING.md#nothing"]


def test_the_readme_tells_every_option_and_no_other():
    from app.config import Settings

    options = {field.metadata["name"]: field.metadata["help"] for field in dataclasses.fields(Settings)}

    told = options_told((ROOT / "README.md").read_text(encoding="utf-8"))

    assert told == options, "rows as they must be:\n" + "\n".join(
        f"| `{name}` | … | {options[name]} |" for name in options
    )


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_names_only_options_that_exist(path):
    from app.config import Settings

    options = {field.metadata["name"] for field in dataclasses.fields(Settings)} | {"POSTROOM_TEST_POSTGRES"}
    secrets = {f"{field.metadata['name']}_FILE" for field in dataclasses.fields(Settings) if field.metadata["secret"]}

    named = set(re.findall(r"\bPOSTROOM_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8")))

    assert named <= options | secrets


def test_options_are_read_from_a_table():
    table = "| option | default | what |\n| --- | --- | --- |\n| `POSTROOM_A`, `POSTROOM_A_FILE` | none | Says `a` |\n"

    assert options_told(table) == {"POSTROOM_A": "Says a"}


def test_every_path_that_the_architecture_names_exists():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

    assert missing(paths_named(text), our_files()) == []


def test_a_path_that_is_not_there_is_seen():
    spans = "`app/config.py` `tests/` `config.py` `test_*.py` `GET /log.py` `no/such/` `none.py` (words.py)"
    text = f"{spans}\n```\nREADME.md  gone.html\n```\n```python\nexample.py\n```\n"

    assert missing(paths_named(text), our_files()) == ["gone.html", "no/such/", "none.py"]


def test_no_text_names_the_folder_it_was_written_in():
    here = str(ROOT).encode()
    if len(ROOT.parts) < 3:
        pytest.skip(f"{ROOT} is too short a name to look for")

    assert [str(file) for file in our_files() if here in (ROOT / file).read_bytes()] == []


def test_every_make_target_that_a_document_names_is_there():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = {
        (path.name, target)
        for path in DOCUMENTS
        for span in in_code(path.read_text(encoding="utf-8"))
        for target in re.findall(r"\bmake ([a-z]+)\b", span)
    }

    assert named, "no document says how to run anything"
    assert {(name, target) for name, target in named if target not in targets} == set()


def test_every_command_that_a_document_names_is_there():
    shown = subprocess.run(
        [sys.executable, "-m", "app", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    commands = set(re.findall(r"^  ([a-z][a-z-]*)", shown.stdout.partition("Commands:")[2], re.M))
    named = {
        (path.name, command)
        for path in DOCUMENTS
        for span in in_code(path.read_text(encoding="utf-8"))
        for command in re.findall(r"(?:^|[\s`/])postroom (?!postroom )([a-z][a-z-]+)\b", span)
    }

    assert commands, shown.stdout
    assert {(name, command) for name, command in named if command not in commands} == set()


def in_code(text: str) -> list[str]:
    """Give the lines of fenced blocks and the code spans, where a command is meant word for word."""
    fenced = [line.split(" #")[0] for block in FENCE.findall(text) for line in block.splitlines()]
    return fenced + CODE.findall(FENCE.sub("", text))
