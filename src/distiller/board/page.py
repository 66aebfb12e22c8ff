"""The leaderboard as one HTML page that needs nothing else: sortable, filtered, light and dark, narrow and wide."""

import html
from collections.abc import Sequence

from distiller.board.boards import Board, Line, gap_text, gold_mark, kind
from distiller.board.runs import METRICS

STYLE = """
:root{color-scheme:light dark;--ink:#1c2330;--soft:#5b6678;--paper:#fff;--band:#f4f6f9;--line:#dde3ea;--accent:#0b62a4;
--bar:#9cc7e6;--gold:#8a5a00;--goldbg:#fff1d2}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b8;--paper:#12161d;--band:#1a202a;--line:#2c3542;
--accent:#7cc0f5;--bar:#245a80;--gold:#ffd27a;--goldbg:#3a2c0c}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1500px;margin:0 auto;padding:1.2rem clamp(.7rem,2.5vw,2.2rem) 4rem}
h1{font-size:1.7rem;margin:.3rem 0}h2{font-size:1.08rem;margin:0}
p{max-width:75ch;margin:.45rem 0;color:var(--soft)}
.controls{position:sticky;top:0;z-index:3;background:var(--paper);border-bottom:1px solid var(--line);display:flex;flex-wrap:wrap;
gap:.6rem;padding:.6rem 0;margin-bottom:1rem;align-items:center}
.controls label{font-size:.85rem;color:var(--soft);display:flex;gap:.35rem;align-items:center;max-width:100%}
select,input[type=search]{font:inherit;font-size:.9rem;padding:.3rem .45rem;border:1px solid var(--line);border-radius:6px;
background:var(--band);color:var(--ink);max-width:min(60vw,26rem)}
section{margin:0 0 2.2rem}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px;margin:.6rem 0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.88rem}
th,td{padding:.38rem .6rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
tbody tr:last-child td{border-bottom:0}
th{background:var(--band);font-weight:600;position:sticky;top:0}
th button{all:unset;cursor:pointer;display:inline-block}
th button:focus-visible,select:focus-visible,input:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
th[aria-sort=ascending] button::after{content:" \\25B2"}th[aria-sort=descending] button::after{content:" \\25BC"}
td.name,th.name{text-align:left;white-space:normal;min-width:15rem;overflow-wrap:anywhere}
td.ties{font-family:ui-monospace,Menlo,Consolas,monospace;text-align:left;white-space:normal;min-width:4rem}
td.mean{font-weight:650;background:linear-gradient(to right,var(--bar) calc(var(--v)*100%),transparent 0)
no-repeat 0 100%/100% 4px}
.range{color:var(--soft);font-weight:400;font-size:.8rem}
tr.published td{color:var(--soft);font-style:italic}
.mark{font-size:.72rem;border-radius:4px;padding:.05rem .35rem;margin-left:.35rem;background:var(--band);color:var(--soft);
border:1px solid var(--line);white-space:nowrap;font-style:normal}
.mark.gold{background:var(--goldbg);color:var(--gold);border-color:transparent}
ul{color:var(--soft);font-size:.88rem;padding-left:1.2rem;overflow-wrap:anywhere}
details summary{cursor:pointer;color:var(--soft)}
@media(max-width:900px){.controls{position:static}}
@media(max-width:640px){body{font-size:14px}th,td{padding:.3rem .42rem}td.name,th.name{min-width:9.5rem}}
@media print{.controls{display:none}section{break-inside:avoid}}
"""

SCRIPT = """
const all=[...document.querySelectorAll('section.board')],get=id=>document.getElementById(id);
function show(){
  const words=get('words').value.toLowerCase().split(/\\s+/).filter(Boolean);
  for(const s of all){
    s.hidden=['metric','source','protocol','datasets'].some(k=>get(k).value&&s.dataset[k]!==get(k).value);
    for(const r of s.querySelectorAll('tbody tr')){
      const text=r.textContent.toLowerCase();
      r.hidden=words.some(w=>!text.includes(w))||(get('gold').checked&&r.dataset.gold==='1')
        ||(get('published').checked&&r.classList.contains('published'));
    }
  }
  get('nothing').hidden=all.some(s=>!s.hidden);
}
for(const id of ['metric','source','protocol','datasets','words','gold','published'])get(id).addEventListener('input',show);
for(const b of document.querySelectorAll('th button'))b.addEventListener('click',()=>{
  const th=b.closest('th'),i=th.cellIndex,body=th.closest('table').tBodies[0],down=th.getAttribute('aria-sort')!=='descending';
  for(const o of th.parentNode.cells)o.removeAttribute('aria-sort');
  th.setAttribute('aria-sort',down?'descending':'ascending');
  const key=r=>{const v=r.cells[i].dataset.v;return v===undefined?r.cells[i].textContent:v===''?null:+v};
  [...body.rows].map((r,n)=>[key(r),n,r]).sort((x,y)=>{
    if(x[0]===null||y[0]===null)return(x[0]===null)-(y[0]===null)||x[1]-y[1];
    const c=typeof x[0]==='number'?x[0]-y[0]:String(x[0]).localeCompare(String(y[0]));
    return(down?-c:c)||x[1]-y[1]}).forEach(t=>body.append(t[2]));
});
show();
"""


def _cell(value: float | None, form: str) -> str:
    return f'<td data-v="{"" if value is None else repr(round(value, 6))}">{"-" if value is None else format(value, form)}</td>'


def _row(board: Board, line: Line, place: int) -> str:
    entry, which = line.entry, kind(line)
    gold = gold_mark(entry, board.datasets)
    marks = f'<span class="mark">{which}</span>' if which != "own" else ""
    marks += f'<span class="mark gold">gold: {html.escape(gold)}</span>' if gold else ""
    spread = f" ±{line.spread:.3f}" if line.spread is not None else ""
    ends = f" [{line.low:.3f}, {line.high:.3f}]" if line.low is not None and line.high is not None else ""
    cells = [
        f'<td data-v="{place}">{place}</td><td class="name">{html.escape(line.name)}{marks}</td>',
        f'<td class="ties">{line.group or "-"}</td>',
        f'<td class="mean" style="--v:{max(0.0, line.mean):.4f}" data-v="{line.mean:.6f}">{line.mean:.3f}'
        f'<span class="range">{spread}{ends}</span></td>',
        *(_cell(line.by_dataset[d][0], ".3f") for d in board.datasets),
        _cell(None if entry.published else len(entry.runs), "d"),
        _cell(entry.seconds(board.datasets), ",.0f"),
        _cell(entry.spent("tokens", board.datasets), ",.0f"),
        _cell(entry.spent("cost", board.datasets), ",.2f"),
    ]
    return f'<tr class="{which}" data-gold="{int(bool(gold))}">{"".join(cells)}</tr>'


def _section(board: Board) -> str:
    heads = ["", "recipe", "ties", "mean ± seeds [95 %]", *board.datasets, "seeds", "seconds", "tokens", "money"]
    columns = "".join(
        f'<th scope="col"{kind_}><button type="button">{html.escape(head) or "#"}</button></th>'
        for head in heads
        for kind_ in [" class=name" if head == "recipe" else ""]
    )
    rows = "\n".join(_row(board, line, place) for place, line in enumerate(board.lines, 1))
    shared = f"All own recipes have {', '.join(board.shared)}. " if board.shared else ""
    missing = "".join(f"<li>Not on this board: {html.escape(each)}.</li>" for each in board.left_out)
    keys = {
        "metric": board.metric,
        "source": board.source,
        "protocol": board.protocol,
        "datasets": " ".join(board.datasets),
    }
    data = " ".join(f'data-{key}="{html.escape(value)}"' for key, value in keys.items())
    return (
        f'<section class="board" {data}>\n<h2>{html.escape(board.title)}</h2>\n'
        f"<p>{html.escape(shared)}Queries scored: {board.queries}. {html.escape(gap_text(board))}</p>\n"
        f'<div class="scroll" tabindex="0"><table><thead><tr>{columns}</tr></thead><tbody>\n{rows}\n</tbody></table></div>\n'
        + (f"<ul>{missing}</ul>" if missing else "")
        + "</section>"
    )


def _select(key: str, label: str, values: Sequence[tuple[str, str]]) -> str:
    options = "".join(f'<option value="{html.escape(v)}">{html.escape(text)}</option>' for v, text in values)
    every = '<option value="">all</option>' if len(values) > 1 else ""
    return f'<label>{label} <select id="{key}">{every}{options}</select></label>'


def page(made: list[Board], told: list[str], left_out: list[str]) -> str:
    """The whole page; the same boards give the same bytes."""
    metrics = list(dict.fromkeys(board.metric for board in made))
    sets = {" ".join(b.datasets): b.datasets for b in made}
    named = [(key, key if len(names) <= 3 else f"{len(names)}: {', '.join(names)}") for key, names in sets.items()]
    controls = [
        _select("metric", "metric", [(m, METRICS[m]) for m in metrics]),
        _select("source", "answers of", [(s, f"{s}s") for s in dict.fromkeys(b.source for b in made)]),
        _select("protocol", "protocol", [(p, p) for p in dict.fromkeys(b.protocol for b in made)]),
        _select("datasets", "datasets", named),
        '<label>recipe <input type="search" id="words" placeholder="words to look for"></label>',
        '<label><input type="checkbox" id="gold"> hide what used gold</label>',
        '<label><input type="checkbox" id="published"> hide published figures</label>',
    ]
    remarks = "".join(f"<li>{html.escape(each)}</li>" for each in left_out)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>DistillER leaderboard</title><link rel="icon" href="data:,"><style>{STYLE}</style></head>
<body><main>
<h1>DistillER leaderboard</h1>
<p>{html.escape(" ".join(told))}</p>
<p>Rows that share a letter cannot be told apart: paired bootstrap over queries and seeds, Holm-corrected at 5 %. ± is the
standard deviation over seeds, the brackets hold a 95 % interval of the mean. Published figures come without answers to single
queries, so they have neither. Seconds are those of the work when it was done, on the machine that did it.</p>
<div class="controls">{"".join(controls)}</div>
<p id="nothing" hidden>No board fits these choices.</p>
{chr(10).join(_section(board) for board in made)}
{f"<details><summary>Left out and remarks ({len(left_out)})</summary><ul>{remarks}</ul></details>" if left_out else ""}
</main><script>{SCRIPT}</script></body></html>
"""
