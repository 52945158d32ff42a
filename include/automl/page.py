"""Self-contained HTML pages for people; everything that is put in is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from string import Template

PASS, FAIL, PLAIN = "pass", "fail", ""

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
  table { border-collapse: collapse; width: 100%; }
  th, td { border-bottom: 1px solid var(--line); padding: .4rem .7rem; text-align: left; vertical-align: top; }
  th { font-weight: 600; white-space: nowrap; }
  td { overflow-wrap: break-word; }
  tr.pass td:first-child { box-shadow: inset 4px 0 var(--good); }
  tr.fail td:first-child { box-shadow: inset 4px 0 var(--bad); }
  code { font-size: .85em; }
</style>
</head>
<body>
<h1>$title</h1>
<p class="lead">$lead</p>
$body
</body>
</html>
""")


def page(title: str, lead: str, sections: Iterable[str]) -> str:
    """Return a page; ``title`` and ``lead`` are text, ``sections`` are HTML, as `table` and `heading` return it."""
    return _PAGE.substitute(title=escape(title), lead=escape(lead), body="\n".join(sections))


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
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
