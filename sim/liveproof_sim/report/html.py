"""A verdict as one page that needs nothing else: no network, no other file.

What reads well without a script is plain HTML; the script draws the lanes from the data that the page
carries, filters them, and copies the token.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from liveproof_sim.explore.verdict import Verdict
from liveproof_sim.report.curve import curve_svg
from liveproof_sim.report.exports import as_data

__all__ = ["TASKS_MAX", "index_page", "page"]

TASKS_MAX = 40  # with a lane of their own
DRAWS_MAX = 500
_ASSETS = Path(__file__).with_name("assets")


def page(verdict: Verdict, scenario: str, *, command: str = "") -> str:
    """The page of one verdict. ``command``: what replays the failure, if it is not ``liveproof replay``."""
    data = as_data(verdict, scenario)
    failure = data["failure"]
    trace = failure and failure["trace"]
    body = [_header(data), _facts(data)]
    if failure:
        body += [_again(failure, command or f"liveproof replay {failure['token']}"), _lanes(trace)]
        body += [_waits(trace), _draws(trace)]
    body += [_thoroughness(data), _text(failure), _footer(trace)]
    shown = {"tasks": [], "turns": []} if not trace else {"tasks": trace["tasks"], "turns": trace["turns"]}
    return _document(f"{scenario}: {data['status']}", "".join(body), {**shown, "tasks_max": TASKS_MAX})


def index_page(rows: Sequence[tuple[str, str, str, str]]) -> str:
    """A list of pages: (name of the test, link, status, sentence) each."""
    counts = {status: sum(row[2] == status for row in rows) for status in dict.fromkeys(r[2] for r in rows)}
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    lines = [
        [f'<a href="{escape(link)}">{escape(test)}</a>', _pill(status), escape(sentence)]
        for test, link, status, sentence in rows
    ]
    table = _table(("test", "", "verdict"), lines)
    body = f"<header><h1>Explored tests</h1><p class=sentence>{escape(told)}</p></header><section>{table}</section>"
    return _document("liveproof: explored tests", body, {"tasks": [], "turns": [], "tasks_max": TASKS_MAX})


def _document(title: str, body: str, data: dict[str, Any]) -> str:
    style, script = (_ASSETS.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    carried = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}</main>\n"
        f'<script type="application/json" id="data">{carried}</script>\n<script>\n{script}</script>\n'
        "</body>\n</html>\n"
    )


def _pill(status: str) -> str:
    return f'<span class="pill {status.replace(" ", "-")}">{escape(status)}</span>'


def _header(data: dict[str, Any]) -> str:
    failure = data["failure"]
    told = f"<h1>{escape(data['scenario'])}</h1>{_pill(data['status'])}"
    told += f'<p class="sentence">{escape(data["sentence"])}</p>'
    if failure:
        told += f'<pre class="error">{escape(failure["type"])}: {escape(failure["message"])}</pre>'
    return f"<header>{told}</header>\n"


def _facts(data: dict[str, Any]) -> str:
    facts = [("executions", f"{data['executions']:,}"), ("strategy", data["strategy"])]
    if data["behaviours"]:
        facts.insert(1, ("behaviours", f"{data['behaviours']:,}"))
    failure = data["failure"]
    if failure:
        least = "no single removal still fails" if failure["minimal"] else "not shrunk to the end"
        if failure["fewest"] and failure["preemptions"]:
            least = "none with fewer fails so"
        facts.append((f"preemptions: {least}", str(failure["preemptions"])))
        if failure["trace"]:
            facts.append(("steps", f"{failure['trace']['steps']:,}"))
            facts.append(("virtual time", f"{failure['trace']['ended_ns'] / 1e9:.3f} s"))
    cells = "".join(f"<div><dd>{escape(value)}</dd><dt>{escape(name)}</dt></div>" for name, value in facts)
    stock = f'<p class="stock">{escape(failure["stock"])}</p>' if failure and failure["stock"] else ""
    return f'<dl class="facts">{cells}</dl>{stock}\n'


def _again(failure: dict[str, Any], command: str) -> str:
    return (
        '<section id="again"><h2>See it again</h2>'
        f'<div class="copy"><code id="command">{escape(command)}</code>'
        '<button type="button" data-copy="command">copy</button></div>'
        '<details><summary>only the token</summary><div class="copy">'
        f'<code id="token">{escape(failure["token"])}</code>'
        '<button type="button" data-copy="token">copy</button></div></details></section>\n'
    )


def _lanes(trace: dict[str, Any] | None) -> str:
    if not trace:
        return ""
    return (
        '<section id="lanes"><h2>What ran</h2>'
        '<p class="hint">A lane per task, from left to right in the order of steps. '
        '<span class="mark">&#9660;</span> is where a task ran before one that stock asyncio would have run.</p>'
        '<div id="filter" role="group" aria-label="tasks"></div>'
        '<div class="scroll"><div id="overview"></div></div>'
        '<div class="scroll"><table id="turns"></table></div>'
        '<button type="button" id="more" hidden>more</button>'
        "<noscript><p>The lanes need a script; the text below has the rows that matter.</p></noscript></section>\n"
    )


def _waits(trace: dict[str, Any] | None) -> str:
    if not trace or not trace["pending"]:
        return ""
    rows = [[escape(each["task"]), f"<code>{escape(each['place'])}</code>"] for each in trace["pending"]]
    return f'<section id="waits"><h2>Who had not ended</h2>{_table(("task", "waits at"), rows)}</section>\n'


def _draws(trace: dict[str, Any] | None) -> str:
    if not trace or not trace["draws"]:
        return ""
    draws = trace["draws"]
    rows = [
        [
            f"{draw['time_ns'] / 1e9:.3f}",
            escape(draw["kind"]),
            f"<code>{escape(draw['label'])}</code>",
            f"{draw['chosen']}{'' if draw['chosen'] else ' (ordinary)'}",
            f"{draw['options']:,}",
        ]
        for draw in draws[:DRAWS_MAX]
    ]
    more = f"<p>and {len(draws) - DRAWS_MAX:,} more</p>" if len(draws) > DRAWS_MAX else ""
    table = _table(("time", "kind", "what", "chosen", "of"), rows)
    return f'<section id="draws"><h2>Drawn values and faults</h2>{table}{more}</section>\n'


def _thoroughness(data: dict[str, Any]) -> str:
    proved = data["status"].startswith("proved")
    facts = [
        f"{data['executions']:,} executions in {data['seconds']:.2f} s "
        f"showed {data['behaviours']:,} distinct schedules.",
        f"The search stopped because {data['reason']}.",
    ]
    if data["status"] in ("sampled", "inconclusive"):
        facts += [
            f"The next execution shows a new one with a chance of at most {data['unseen_at_most']:.2g} "
            f"(95 %, Good–Turing; estimate {data['unseen_estimate']:.2g}).",
            f"A failure with a chance above {data['excluded_above']:.2g} per execution is excluded (95 %).",
        ]
    if proved:
        bounds = [f"{name} at most {value}" for name, value in data["bounds"].items()]
        facts.append(f"Assumed: {'; '.join([*bounds, *data['assumptions']])}.")
    if data["never_reached"]:
        facts.append(f"Never reached: {', '.join(data['never_reached'])}.")
    told = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    curve = f'<figure class="scroll">{curve_svg(data["curve"])}</figure>' if len(data["curve"]) > 2 else ""
    return (
        f'<section id="thoroughness"><h2>How thorough</h2><ul>{told}</ul>{curve}{_arms(data["arms"])}</section>\n'
    )


def _arms(arms: dict[str, dict[str, float]]) -> str:
    if not arms:
        return ""
    columns = list(dict.fromkeys(name for arm in arms.values() for name in arm))
    rows = [
        [escape(name), *(f"{arm[each]:g}" if each in arm else "" for each in columns)]
        for name, arm in arms.items()
    ]
    return _table(("arm", *columns), rows)


def _text(failure: dict[str, Any] | None) -> str:
    if not failure or not failure["report"]:
        return ""
    return f'<details id="text"><summary>as text</summary><pre>{escape(failure["report"])}</pre></details>\n'


def _footer(trace: dict[str, Any] | None) -> str:
    about = trace["about"] if trace else {}
    told = [about[name] for name in ("scenario", "interpreter") if name in about]
    made_by = f"liveproof {about.get('library', '')}".rstrip()
    return f"<footer>{escape(' · '.join([made_by, *told]))}</footer>\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Cells are HTML already."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
