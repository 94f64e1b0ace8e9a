"""Sphinx's configuration: make docs builds the pages, and a warning is an error."""

import re

import lcfs

project = "lcfs"
author = "The lcfs developers"
copyright = author
release = version = lcfs.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"lcfs {release}"
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_copy_source = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = ["Source"]
maximum_signature_line_length = 88
python_use_unqualified_type_names = True

_CODE = re.compile(r"(`+)([^`]+)\1")
_SECTION = re.compile(r"^(Raises|Returns|Source): (?=\S)", re.MULTILINE)
_FIELD = re.compile(r"^(\w+(?:, \w+)*): (?=\S)", re.MULTILINE)
_MARKUP = re.compile(r"([\\*|]|(?<=\w)_(?!\w))")


def _as_restructured_text(app, what, name, obj, options, lines: list[str]) -> None:
    """Docstrings are plain text: their `code` becomes literal, one-line sections fields, other markup is escaped."""
    joined = "\n".join(lines)
    pieces, end = [], 0
    for code in _CODE.finditer(joined):
        pieces += [_escaped(joined[end : code.start()]), f"``{' '.join(code[2].split())}``"]
        end = code.end()
    text = "".join([*pieces, _escaped(joined[end:])])
    if what in ("attribute", "property"):
        text = f"\\ \n{text}"  # napoleon would take the words before a first colon for a type
    text = _SECTION.sub(r"\n:\1: ", text)
    if what == "class":
        text = "\n\n".join(map(_with_fields, text.split("\n\n")))
    lines[:] = text.split("\n")


def _with_fields(paragraph: str) -> str:
    """A paragraph all of whose items have the form "name: what it is" as a list of fields; any other as it was."""
    if all(_FIELD.match(line) or line[:4].isspace() or not line for line in paragraph.split("\n")):
        return _FIELD.sub(r":\1: ", paragraph)
    return paragraph


def _escaped(text: str) -> str:
    return "\n".join(map(_escaped_line, text.split("\n")))


def _escaped_line(line: str) -> str:
    if line.lstrip().startswith(">>>"):
        return line
    bullet = len(line) - len(line.lstrip()) + 2 if line.lstrip().startswith("* ") else 0
    return line[:bullet] + _MARKUP.sub(r"\\\1", line[bullet:])


def setup(app) -> None:
    """Before napoleon, whose priority is 500, reads the sections."""
    app.connect("autodoc-process-docstring", _as_restructured_text, priority=400)
