// The style sheet of every page.
#pragma once

namespace lcsc {

inline constexpr const char* kPageStyle = R"(:root {
  color-scheme: light dark;
  --page: #ffffff; --ink: #1b1f24; --soft: #5a636e; --rule: #d5dae0; --panel: #f5f7f9;
  --c1: #1f62b4; --c2: #c4560a; --c3: #12784a; --c4: #8a929c; --c5: #7a3fb0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --ink: #e6e9ed; --soft: #a3acb7; --rule: #353c45; --panel: #1d2228;
    --c1: #78b0ff; --c2: #ffa45c; --c3: #58cf98; --c4: #77808b; --c5: #c69cf4;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 0 1rem 3rem; max-width: 68rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: anywhere;
}
h1 { margin: 1.5rem 0 0.3rem; font-size: 1.6rem; line-height: 1.25; }
h2 { margin: 2.2rem 0 0.6rem; padding-top: 0.7rem; border-top: 1px solid var(--rule); font-size: 1.25rem; }
h3 { margin: 1.2rem 0 0.3rem; font-size: 1rem; }
p { margin: 0.5rem 0; max-width: 50rem; }
.soft, figcaption small { color: var(--soft); }
nav { display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; margin-top: 0.8rem; }
a { color: var(--c1); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.7rem; margin: 0.8rem 0; }
.tile { padding: 0.6rem 0.8rem; border-radius: 0.5rem; background: var(--panel); }
.tile b { display: block; font-size: 1.45rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tile span { display: block; font-size: 0.85rem; color: var(--soft); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
figure { margin: 0.5rem 0; min-width: 0; }
figcaption { font-weight: 600; font-size: 0.95rem; }
svg { display: block; width: 100%; height: auto; }
svg text { font-size: 13px; fill: var(--soft); }
.grid { stroke: var(--rule); stroke-width: 1; }
.axis { stroke: var(--soft); stroke-width: 1; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.dots { fill: none; stroke-width: 3.4; stroke-linecap: round; stroke-opacity: 0.55; }
.dots.s5 { stroke-opacity: 0.95; }
.marks { fill: none; stroke-width: 7; stroke-linecap: round; }
.dashed { stroke-dasharray: 6 4; }
.s1 { stroke: var(--c1); } .s2 { stroke: var(--c2); } .s3 { stroke: var(--c3); } .s4 { stroke: var(--c4); }
.s5 { stroke: var(--c5); }
.f1 { fill: var(--c1); } .f2 { fill: var(--c2); } .f3 { fill: var(--c3); } .f4 { fill: var(--c4); }
.f5 { fill: var(--c5); }
.legend { display: flex; flex-wrap: wrap; gap: 0.1rem 1rem; margin-top: 0.3rem; font-size: 0.88rem; }
.legend span { display: flex; align-items: center; gap: 0.4rem; }
.legend svg { width: 1.6rem; flex: none; }
.scroll { overflow-x: auto; margin: 0.6rem 0; }
table { border-collapse: collapse; font-size: 0.93rem; }
th, td { padding: 0.25rem 0.9rem 0.25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); }
th { font-weight: 600; }
td { min-width: 4rem; overflow-wrap: normal; }
th { overflow-wrap: normal; }
.facts th { padding-right: 1.2rem; font-weight: 400; color: var(--soft); }
.facts td { min-width: 0; overflow-wrap: anywhere; }
.facts th { overflow-wrap: break-word; }
.number { text-align: right; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { overflow-x: auto; padding: 0.7rem; border-radius: 0.5rem; background: var(--panel); font-size: 0.85rem; }
code { font-size: 0.9em; }
summary { cursor: pointer; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 0.8rem; margin: 0.8rem 0; }
.pairs div { display: grid; grid-template-columns: 1fr 1fr; gap: 3px; }
.pairs img { width: 100%; aspect-ratio: 1; object-fit: contain; }
.pairs.small img { image-rendering: pixelated; }
.pairs figcaption { font-weight: 400; font-size: 0.82rem; color: var(--soft); }
.pairs figure { margin: 0; }
.picture { max-width: 100%; height: auto; background: #ffffff; }
)";

}  // namespace lcsc
