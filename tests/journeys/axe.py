"""Pages under axe: what it finds, in light and dark, wide and narrow, without loading a page anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_playwright_python

SCRIPT = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
"""To be added to windows: a page then has `axe`."""

# What a page is looked at for, once a width: all rules but those of colours, and those in each theme, for each text
# whose colours, ground, size and weight weren't seen before. Of rows and items that differ in their texts alone, two
# are looked at.
RUN = """
async ([context, themes, thin]) => {
  const found = [], {dataset} = document.documentElement, before = dataset.theme;
  const all = from => [...from.querySelectorAll("*")];
  const shape = one => [one, ...all(one)].map(({tagName, className, dataset, hidden}) =>
    tagName + (className.baseVal ?? className) + (dataset.state || "") + hidden).join();
  for (const list of thin ? document.querySelectorAll("tbody, ul, ol, select") : []) {
    const seen = {};
    for (const one of [...list.children]) {
      const known = shape(one);
      seen[known] = (seen[known] || 0) + 1;
      if (seen[known] > 2 && !one.contains(document.activeElement)) one.remove();
    }
  }
  const run = async (context, theme, options) => {
    const usual = {resultTypes: ["violations"], preload: false, iframes: false};
    const {violations} = await axe.run(context, {...usual, ...options});
    found.push(...violations.map(({id, nodes}) => `${theme} ${innerWidth} ${id}: ${nodes[0].html.slice(0, 160)}`));
  };
  const colours = ["color-contrast", "link-in-text-block"], off = {enabled: false};
  const known = new Set(JSON.parse(sessionStorage.colours || "[]"));
  const painted = one => {
    const {color, fontSize, fontWeight} = getComputedStyle(one), parts = [dataset.theme, color, fontSize, fontWeight];
    if (one.parentElement) parts.push(getComputedStyle(one.parentElement).color);
    for (let ground = one; ground; ground = ground.parentElement) {
      const {backgroundColor, backgroundImage, opacity} = getComputedStyle(ground);
      if (opacity !== "1" || backgroundImage !== "none") parts.push(opacity, backgroundImage);
      if (!/, 0\\)$/.test(backgroundColor)) parts.push(backgroundColor);
      if (/^rgb\\(/.test(backgroundColor)) break;
    }
    return parts.join();
  };
  const hasText = one => /^(INPUT|SELECT|TEXTAREA)$/.test(one.tagName)
    || [...one.childNodes].some(({nodeType, data}) => nodeType === 3 && data.trim());
  const texts = all(context.include ? document.querySelector(context.include[0]) : document.body)
    .filter(one => hasText(one) && one.checkVisibility({visibilityProperty: true}));
  for (const theme of themes) {
    dataset.theme = theme;
    const fresh = texts.filter(one => { const as = painted(one), is = !known.has(as); known.add(as); return is; });
    if (fresh.length) await run({include: fresh}, theme, {runOnly: {type: "rule", values: colours}});
  }
  sessionStorage.colours = JSON.stringify([...known]);
  await run(context, "both", {rules: Object.fromEntries(colours.map(rule => [rule, off]))});
  if (before) dataset.theme = before; else delete dataset.theme;
  if (document.documentElement.scrollWidth > innerWidth) found.push(`scrolls sideways at ${innerWidth}`);
  return found;
}
"""
WIDE, NARROW, NARROWEST = 1280, 375, 320


def look(page: Any, *, whole: bool = True) -> list[str]:
    """Return what axe finds on a page in both themes and widths, and whether it scrolls sideways.

    Rows that are alike are gone afterwards. `whole`: with the frame, which is the same on every page.
    """
    context = {"exclude": [] if whole else [[".bar"], [".side"]]}
    found: list[str] = page.evaluate(RUN, [context, ["light", "dark"], True])
    _resize(page, NARROW)
    found += page.evaluate(RUN, [context, ["dark", "light"], False])
    _resize(page, NARROWEST)
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append(f"scrolls sideways at {NARROWEST}")
    _resize(page, WIDE)
    return found


def look_at(page: Any, part: str) -> list[str]:
    """Return what axe finds on a part of a page, in both themes."""
    found: list[str] = page.evaluate(RUN, [{"include": [[part]]}, ["light", "dark"], False])
    return found


def _resize(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
