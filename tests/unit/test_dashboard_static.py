"""What can be said of the page's files without a browser."""

from __future__ import annotations

import re
from importlib import resources

STATIC = resources.files("dashboard").joinpath("static")
FILES = {entry.name: entry.read_text("utf-8") for entry in STATIC.iterdir()}
SCRIPTS = {name: text for name, text in FILES.items() if name.endswith(".js")}


def test_nothing_foreign_is_named():
    for name, text in FILES.items():
        assert not re.findall(r"(?:https?:)?//[\w-]+\.[a-z]{2,}", text), name


def test_text_is_never_put_in_as_markup():
    for name, text in SCRIPTS.items():
        assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text), name


def test_the_browsers_clock_is_never_asked():
    for name, text in SCRIPTS.items():
        assert not re.findall(r"Date\.now|new Date\b|timeOrigin", text), name


def test_no_inline_script_or_style():
    assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", FILES["index.html"])


def test_no_text_is_smaller_than_16_px():
    styles = "".join(text for name, text in FILES.items() if name.endswith(".css"))
    sizes = [int(size) for size in re.findall(r"(?:font-size: |font: )(\d+)px", styles)]
    assert sizes and min(sizes) >= 16


def test_no_word_stands_there_twice():
    # of two the last would be taken, wherever the first was meant
    for part in re.split(r"\n  (?:ja|en): \{\n", FILES["i18n.js"])[1:]:
        words = re.findall(r"(?:^|, | {4})(\w+): '", part.split("\n  },")[0], re.MULTILINE)
        assert len(words) > 100 and sorted(set(words)) == sorted(words)


def test_modules_import_what_is_there():
    for name, text in SCRIPTS.items():
        for target in re.findall(r"from '\./([^']+)'", text):
            assert target in SCRIPTS, f"{name} imports {target}"
