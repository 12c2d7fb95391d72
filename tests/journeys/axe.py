"""Pages under axe: what it finds, in light and dark, wide and narrow, without loading a page anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_playwright_python

SCRIPT = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
"""To be added to windows: a page then has `axe`."""

# Both themes, one after the other: all rules in the first, and in the second those of colours, as it is other colours
# for the same elements. Of rows and items that differ in their texts alone, two are looked at.
RUN = """
async ([context, themes, thin]) => {
  const found = [], {dataset} = document.documentElement, before = dataset.theme;
  const shape = one => [one, ...one.querySelectorAll("*")].map(({tagName, className, dataset, hidden}) =>
    tagName + (className.baseVal ?? className) + (dataset.state || "") + hidden).join();
  for (const list of thin ? document.querySelectorAll("tbody, ul, ol, select") : []) {
    const seen = {};
    for (const one of [...list.children]) {
      const known = shape(one);
      seen[known] = (seen[known] || 0) + 1;
      if (seen[known] > 2 && !one.contains(document.activeElement)) one.remove();
    }
  }
  for (const [number, theme] of themes.entries()) {
    dataset.theme = theme;
    const {violations} = await axe.run(context, {
      resultTypes: ["violations"], preload: false, iframes: false,
      ...(number && {runOnly: {type: "rule", values: ["color-contrast", "link-in-text-block"]}}),
    });
    found.push(...violations.map(({id, nodes}) => `${theme} ${innerWidth} ${id}: ${nodes[0].html.slice(0, 160)}`));
  }
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
