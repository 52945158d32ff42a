"""Self-contained HTML pages for people; everything that is put in is escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template

PASS, FAIL, PLAIN = "pass", "fail", ""

_END = "<!-- end of sections -->"
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
  :root { color-scheme: light dark; --line: #8884; --faint: #777; --good: #2a9d5c; --bad: #d64545; }
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
  h1 { font-size: 1.4rem; margin: 0 0 .2rem; }
  h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
  p.lead { color: var(--faint); margin: 0 0 1.5rem; }
  p { max-width: 52rem; }
  div.wide { overflow-x: auto; margin-bottom: 1rem; }
  div.plots { display: flex; flex-wrap: wrap; gap: 1rem; }
  figure { margin: 0; max-width: 100%; flex: 0 1 27rem; }
  figcaption { color: var(--faint); font-size: .9em; }
  figure img { width: 100%; height: auto; border-radius: 4px; }
  table { border-collapse: collapse; width: 100%; }
  th, td { border-bottom: 1px solid var(--line); padding: .4rem .7rem; text-align: left; vertical-align: top; }
  th { font-weight: 600; white-space: nowrap; }
  td { overflow-wrap: break-word; }
  tr.pass td:first-child { box-shadow: inset 4px 0 var(--good); }
  tr.fail td:first-child { box-shadow: inset 4px 0 var(--bad); }
  code { font-size: .85em; }
  @media (max-width: 40rem) { body { margin: 1rem auto; } th, td { padding: .3rem .45rem; } }
</style>
</head>
<body>
<h1>$title</h1>
<p class="lead">$lead</p>
$body
<!-- end of sections -->
</body>
</html>
""")


def page(title: str, lead: str, sections: Iterable[str]) -> str:
    """Return a page; ``title`` and ``lead`` are text, ``sections`` are HTML, as `table` and `heading` return it."""
    return _PAGE.substitute(title=escape(title), lead=escape(lead), body="\n".join(sections))


def extended(written: str, sections: Iterable[str]) -> str:
    """Return a page that `page` made with further sections at its end."""
    before, end, after = written.rpartition(_END)
    return "\n".join([before.rstrip("\n"), *sections, end + after])


def heading(text: str) -> str:
    """Return a heading."""
    return f"<h2>{escape(text)}</h2>"


def table(head: Sequence[str], rows: Iterable[tuple[str, Sequence[object]]]) -> str:
    """Return a table; each row is its mark (`PASS`, `FAIL` or `PLAIN`) and its cells, any object, shown as text."""
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    lines = [
        f'<tr class="{escape(mark)}">' + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"
        for mark, cells in rows
    ]
    return f'<div class="wide"><table><thead><tr>{titles}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{escape(text)}</p>"


def plots(files: Iterable[tuple[str, Path]]) -> str:
    """Return PNG files, each with what it shows, side by side where there is room; they are kept in the page itself."""
    figures = []
    for shows, file in files:
        data = b64encode(file.read_bytes()).decode()
        image = f'<img alt="{escape(shows)}" src="data:image/png;base64,{data}">'
        figures.append(f"<figure>{image}<figcaption>{escape(shows)}</figcaption></figure>")
    return f'<div class="plots">{"".join(figures)}</div>'
