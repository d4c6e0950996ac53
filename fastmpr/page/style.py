"""How the page looks: two columns on a wide screen and one on a phone, light and dark, and in print."""

STYLE = """
:root {
  --ink: #1d2329; --soft: #59636e; --line: #d5dae0; --ground: #ffffff; --raised: #f4f6f8; --accent: #1f4e79;
  --warn-line: #c77700; --warn-ground: #fff6e6; --calm-line: #3b7d4f; --calm-ground: #eff7f1;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ink: #e4e8ec; --soft: #a3adb8; --line: #39424c; --ground: #14181c; --raised: #1d2329; --accent: #8dbbe6;
    --warn-line: #e09a2b; --warn-ground: #33270f; --calm-line: #58a871; --calm-ground: #15291b;
  }
}
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100% }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main, footer { max-width: 76rem; margin: 0 auto; padding: 0 1.25rem }
header { padding: 1.75rem 0 .5rem }
h1 { font-size: 1.75rem; line-height: 1.2; margin: .2rem 0 .5rem; overflow-wrap: anywhere }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 0 0 .6rem }
p { margin: 0 0 .75rem }
.kind { color: var(--soft); margin: 0; font-size: .9rem }
.lead { font-size: 1.1rem; max-width: 60rem; overflow-wrap: anywhere }
.missing { color: var(--soft); font-style: italic }
.missing b { font-style: normal }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 1rem 0 }
.figures > div { background: var(--raised); border-radius: .5rem; padding: .6rem .8rem }
.figures dt { color: var(--soft); font-size: .85rem }
.figures dd { margin: 0; font-size: 1.35rem; font-weight: 600; color: var(--accent); overflow-wrap: anywhere }
.figures dd.missing { font-size: 1rem; font-weight: 400; color: var(--soft); padding: .3rem 0 }
.figures dd.meaning { font-size: .8rem; font-weight: 400; color: var(--soft); line-height: 1.35 }
section { border-top: 1px solid var(--line); padding: 1.4rem 0 }
.absent { padding: .8rem 0 }
.absent > * { margin: 0 }
.doubts { border: 0; border-left: .35rem solid; border-radius: .4rem; padding: .9rem 1.1rem; margin: .5rem 0 1.5rem }
.doubts.some { border-color: var(--warn-line); background: var(--warn-ground) }
.doubts.none { border-color: var(--calm-line); background: var(--calm-ground) }
.doubts :last-child { margin-bottom: 0 }
ul { margin: 0 0 .75rem; padding-left: 1.2rem }
li { overflow-wrap: anywhere; margin-bottom: .3rem }
li.more { color: var(--soft); list-style: none }
.words > * { max-width: 44rem }
.words > .columns { max-width: none }
.beside, .below, .columns { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.25rem 2rem; align-items: start }
figure { margin: 0; break-inside: avoid }
img { display: block; width: 100%; height: auto; max-width: 40rem; background: #fff; border-radius: .4rem }
figcaption { color: var(--soft); font-size: .85rem; margin-top: .35rem }
.table { overflow-x: auto; margin-bottom: .75rem }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; max-width: 100% }
caption { text-align: left; color: var(--soft); padding-bottom: .2rem }
th, td { text-align: left; vertical-align: top; padding: .25rem 1.1rem .25rem 0 }
td, tr > th:only-child { white-space: nowrap }
.long, code { white-space: normal; overflow-wrap: anywhere }
tr + tr > *, thead + tbody > tr:first-child > * { border-top: 1px solid var(--line) }
tbody th { font-weight: 400; color: var(--soft) }
thead th { font-weight: 600 }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .85em }
pre {
  background: var(--raised); border-radius: .4rem; padding: .7rem .9rem; margin: 0 0 .75rem;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
summary { cursor: pointer; color: var(--soft); margin-bottom: .5rem }
footer { border-top: 1px solid var(--line); color: var(--soft); font-size: .85rem; padding-top: 1rem; padding-bottom: 2rem }
@media (min-width: 56rem) {
  .absent { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 2rem; align-items: baseline }
  .beside, .below, .columns { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr) }
  .below > .words { grid-column: 1 / -1; columns: 2; column-gap: 2rem }
  .below > .words > * { max-width: none; break-inside: avoid }
}
@media print {
  html { font-size: 9pt }
  body { line-height: 1.4 }
  main, footer { max-width: none; padding: 0 }
  header, section, .doubts { padding-top: .6rem; padding-bottom: .6rem }
  details { display: none }
  .lead { font-size: 1em }
  .figures { grid-template-columns: repeat(6, minmax(0, 1fr)); gap: .4rem }
  .figures > div { padding: .4rem }
  .figures dd { font-size: 1.15em }
  .figures dd.meaning { font-size: .75em }
  .beside, .below, .columns { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr) }
  .below > .words { grid-column: 1 / -1 }
  section, tr, pre, li, .figures > div { break-inside: avoid }
  h2 { break-after: avoid }
  .figures > div, .doubts, pre { border: 1px solid var(--line) }
}
"""
