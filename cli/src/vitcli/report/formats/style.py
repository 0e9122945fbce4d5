"""How the HTML report looks: dark on light or light on dark, as the reader's device has it, and on a phone."""

STYLE = """
:root { color-scheme: light dark; --text: #1a1a1a; --page: #fff; --soft: #5a5a5a; --line: #d5d5d5; --head: #f3f3f3;
  --warn: #fff3d6; --edge: #b36b00; }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8e8; --page: #16181b; --soft: #a8a8a8; --line: #3c4046;
  --head: #22252a; --warn: #3a2c0d; --edge: #e0a030; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
main { max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; }
h2 { font-size: 1.2rem; margin-top: 2rem; }
.warning { background: var(--warn); border-left: 5px solid var(--edge); padding: .7rem 1rem; margin: 1rem 0; }
.warning ul { margin: .3rem 0 0; padding-left: 1.2rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
.wide:focus-visible { outline: 2px solid var(--edge); }
table { border-collapse: collapse; font-size: .9rem; width: max-content; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { background: var(--head); font-weight: 600; max-width: 7.5rem; vertical-align: bottom; overflow-wrap: normal; }
tbody th { font-weight: 600; max-width: 16rem; position: sticky; left: 0; background: var(--page); }
td { max-width: 26rem; }
@media (max-width: 40rem) { tbody th { max-width: 8.5rem; } td { max-width: 15rem; } }
tbody .number { white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0; }
figure .wide { background: #fff; border-radius: 6px; padding: .4rem; margin: 0; }
figure img { display: block; max-width: 100%; min-width: 36rem; height: auto; margin: 0 auto; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .4rem; }
code, pre { font: .85em/1.4 ui-monospace, monospace; }
pre { overflow-x: auto; background: var(--head); padding: .6rem; }
@media print { .wide { overflow: visible; } figure { break-inside: avoid; } }
"""
