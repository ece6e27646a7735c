"""Every relative link in the documents leads to a file, and to a heading where it names one."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def anchors(page: str) -> set[str]:
    """The names that forges give to a page's headings."""
    titles = HEADING.findall(FENCE.sub("", page))
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in plain}


def broken(path: Path, page: str, read: Callable[[Path], str | None]) -> Iterator[str]:
    """Links of a page that lead nowhere; `read` gives the text of a file, "" for a folder, None for nothing."""
    for link in LINK.finditer(CODE.sub("", FENCE.sub("", page))):
        target, _, anchor = unquote(link["target"]).partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        found = _joined(path, target) if target else path
        text = page if found == path else read(found)
        if text is None:
            yield f"{path}: {link['target']}: there is no {found}"
        elif anchor and anchor not in anchors(text):
            yield f"{path}: {link['target']}: no such heading in {found}"


def _joined(path: Path, target: str) -> Path:
    parts: list[str] = []
    for part in (PurePosixPath(path).parent / target).parts:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        else:
            parts.append(part)
    return Path(*parts)


def test_every_relative_link_in_the_documents_leads_somewhere(
    repository: Path, texts: dict[Path, str]
) -> None:
    def read(path: Path) -> str | None:
        there = repository / path
        return there.read_text() if there.is_file() else ("" if there.is_dir() else None)

    pages = {path: text for path, text in texts.items() if path.suffix == ".md"}
    assert pages
    assert [link for path, page in pages.items() for link in broken(path, page, read)] == []


def test_a_link_to_nowhere_is_found_and_code_is_not_read_as_links() -> None:
    files = {Path("docs/a.md"): "# One thing: twice\n", Path("docs"): ""}
    page = (
        "[good](docs/a.md) [too](docs/a.md#one-thing-twice) [web](https://example.test/x) [here](#top) `[c](x.md)`\n"
        "# Top\n```\n[code](none.md)\n```\n[gone](docs/b.md) [lost](docs/a.md#two)\n"
    )
    assert list(broken(Path("README.md"), page, files.get)) == [
        "README.md: docs/b.md: there is no docs/b.md",
        "README.md: docs/a.md#two: no such heading in docs/a.md",
    ]
    assert list(broken(Path("docs/x.md"), "[up](../docs/a.md) [out](../../a.md)", files.get)) == [
        "docs/x.md: ../../a.md: there is no ../a.md"
    ]
