"""How a report looks and what little it does by itself: style sheet and script, both written into the page."""

import base64
import hashlib

CSS = """
:root { color-scheme: light dark;
  --paper: #fbfbfa; --card: #ffffff; --ink: #1d2330; --soft: #5b6474; --line: #dfe2e8; --grid: #eceef2;
  --student: #2563c9; --teacher: #c2610c; --published: #7a5ba8; --good: #1f7a4d; --bad: #b3261e; --mark: #ffe08a; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171c; --card: #1c2027; --ink: #e6e9ef; --soft: #a2abba; --line: #343b47; --grid: #292f39;
  --student: #7fb0ff; --teacher: #f2a154; --published: #c0a3ee; --good: #6fd09c; --bad: #ff8f86; --mark: #6b5410; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 3.2rem; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: break-word; }
header, main, footer { max-width: 1120px; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; } footer { padding-bottom: 3rem; color: var(--soft); font-size: .9rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .6rem; }
h2 { font-size: 1.25rem; margin: 0 0 .35rem; } h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .4rem 0 .8rem; max-width: 78ch; } .lead { font-size: 1.08rem; } .soft, .note { color: var(--soft);
  font-size: .92rem; }
a { color: var(--student); }
nav { position: sticky; top: 0; z-index: 2; background: var(--paper); border-bottom: 1px solid var(--line); }
nav div { max-width: 1120px; margin: 0 auto; padding: .55rem 1.25rem; display: flex; gap: 1.1rem;
  overflow-x: auto; white-space: nowrap; }
nav a { color: var(--soft); text-decoration: none; font-size: .92rem; } nav a:hover { color: var(--ink); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.2rem 1.35rem;
  margin: 1.1rem 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .8rem;
  margin: 1rem 0 1.2rem; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .75rem .95rem; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: .86rem; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); gap: 1.5rem;
  align-items: start; }
.two > * { min-width: 0; }
.scroll { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .34rem .7rem .34rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; } tbody th { font-weight: 600; }
th.number, td.number { text-align: right; white-space: nowrap; } tr:last-child > * { border-bottom: 0; }
.wide td:first-child { white-space: nowrap; }
.group th { padding-top: .8rem; }
.who { white-space: nowrap; } .who i { display: inline-block; width: .7em; height: .7em; border-radius: 50%;
  margin-right: .45em; }
.student { --own: var(--student); } .teacher { --own: var(--teacher); } .published { --own: var(--published); }
.good { --own: var(--good); } .bad { --own: var(--bad); } .plain { --own: var(--soft); }
.who i, .mark, .fill, .swatch { background: var(--own); }
svg.plot { width: 100%; max-width: 560px; height: auto; display: block; }
svg text { fill: var(--soft); font-size: 12.5px; text-anchor: middle; } svg text.up { text-anchor: end; }
polyline { fill: none; } .grid { stroke: var(--grid); } .ideal { stroke: var(--soft); stroke-dasharray: 4 4; }
.whisker { stroke: var(--student); stroke-width: 1.5; opacity: .65; } .dot { fill: var(--own); }
.line { stroke-width: 2; stroke: var(--own); } .a { --own: var(--student); } .b { --own: var(--teacher); }
.c { --own: var(--published); } .d { --own: var(--good); }
.key { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; font-size: .9rem; color: var(--soft); }
.swatch { display: inline-block; width: .75em; height: .75em; border-radius: 2px; margin-right: .4em; }
.dots { display: grid; grid-template-columns: minmax(7.5rem, 10rem) 1fr; gap: .8rem; align-items: center;
  font-size: .92rem; }
.track, .scale { position: relative; height: 1.55rem; margin: 0 .6rem; }
.track { background: linear-gradient(var(--line), var(--line)) center / 100% 1px no-repeat; }
.mark { position: absolute; top: 50%; width: .85rem; height: .85rem; transform: translate(-50%, -50%);
  border-radius: 50%;
  box-shadow: 0 0 0 2px var(--card); }
.mark.teacher { border-radius: 2px; } .mark.published { border-radius: 2px;
  transform: translate(-50%, -50%) rotate(45deg) scale(.85); }
.scale span { position: absolute; transform: translateX(-50%); color: var(--soft); font-size: .8rem; }
.bar { position: relative; height: .8rem; background: var(--grid); border-radius: 3px; min-width: 110px;
  margin-top: .35rem; }
.fill { position: absolute; inset: 0 auto 0 0; border-radius: 3px; }
.range { position: absolute; top: 50%; height: 1px; background: var(--ink); opacity: .75; }
.range::before, .range::after { content: ""; position: absolute; top: -3px; height: 7px; width: 1px;
  background: var(--ink); }
.range::after { right: 0; }
.split { display: flex; height: 1.7rem; border-radius: 5px; overflow: hidden; margin: .6rem 0; gap: 2px; }
.split i { background: var(--own); min-width: 3px; } .split .plain { opacity: .35; } .both { --own: var(--line); }
details { border-top: 1px solid var(--line); padding: .5rem 0; } details[hidden] { display: none; }
summary { cursor: pointer; } summary .soft { margin-left: .4rem; }
.records { table-layout: fixed; min-width: 560px; margin-top: .4rem; } .records thead th:first-child { width: 7.2rem; }
.records tbody th { color: var(--soft); font-weight: 400; } .records td.none { color: var(--soft); font-style: italic; }
mark { background: var(--mark); color: inherit; border-radius: 3px; padding: 0 .1em; }
.filter { display: flex; flex-wrap: wrap; gap: .6rem; margin: .6rem 0; }
select, input { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--line);
  border-radius: 6px;
  padding: .25rem .5rem; max-width: 100%; }
pre { background: var(--paper); border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem;
  overflow-x: auto; font-size: .88rem; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .9em; } td code { overflow-wrap: anywhere; }
@media (max-width: 560px) {
  body { font-size: 15px; } section { padding: .9rem .95rem; } header, main, footer { padding-left: .8rem;
  padding-right: .8rem; }
  .who { white-space: normal; } .scores td:first-child { min-width: 8.5rem; }
  .bar { min-width: 64px; } th, td { padding-right: .45rem; } table { font-size: .87rem; }
  .dots { grid-template-columns: 1fr; gap: 0; margin-top: .5rem; }
  .records, .records tbody, .records tr, .records td { display: block; min-width: 0; width: 100%; }
  .records thead { display: none; }
  .records tbody th { display: block; padding-bottom: 0; border: 0; font-weight: 600; }
  .records td { border: 0; padding: .1rem 0 .25rem; } .records td::before { content: attr(data-of) ": ";
  color: var(--soft); } }
@media print { nav, .filter { display: none; } section { break-inside: avoid-page; } body { background: #fff; } }
"""

SCRIPT = """
for (const filter of document.querySelectorAll('.filter')) {
  filter.hidden = false;
  const shown = () => {
    const which = filter.querySelector('select'), word = filter.querySelector('input').value.toLowerCase();
    for (const each of filter.parentElement.querySelectorAll('details[data-dataset]'))
      each.hidden = (which && which.value && each.dataset.dataset !== which.value)
        || (word && !each.textContent.toLowerCase().includes(word));
  };
  filter.addEventListener('input', shown);
}
"""


def script_source() -> str:
    """What a content security policy names the script by: only this one may run, whatever text the data holds."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
