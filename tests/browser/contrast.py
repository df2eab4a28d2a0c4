"""The contrast of text as a browser really paints it, in JupyterLab's themes."""

import re

from course_lib.draw.palette import contrast

_COLOURS = """widget => {
  const opaque = (element) => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (!colour.startsWith("rgba(") || colour.endsWith(", 1)")) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  const told = "strong, h4, span, label, output, p, code, button, caption, summary, td, th";
  for (const element of widget.querySelectorAll(told)) {
    if (!element.textContent.trim() || !element.checkVisibility()) continue;
    found.push([element.textContent, getComputedStyle(element).color, opaque(element)]);
  }
  for (const text of widget.querySelectorAll("svg text")) {
    const box = text.closest("g:has(> rect)")?.querySelector("rect");
    const fill = box ? getComputedStyle(box).fill : "none"; // a hollow box has none
    const ground = fill === "none" ? opaque(widget) : fill;
    found.push([text.textContent, getComputedStyle(text).fill, ground]);
  }
  return found;
}"""


def channels(colour):
    """Red, green, blue (0 to 255) and opacity (0 to 1) of a computed colour."""
    red, green, blue, *alpha = (float(part) for part in re.findall(r"[\d.]+", colour))
    return (red, green, blue), (alpha or [1.0])[0]


def blended(ink, ground):
    """What ink that lets the ground shine through looks like, and the ground: both #rrggbb."""
    (front, alpha), (back, solid) = channels(ink), channels(ground)
    assert solid == 1
    mixed = [alpha * a + (1 - alpha) * b for a, b in zip(front, back, strict=True)]
    return ["#" + "".join(f"{round(part):02x}" for part in colour) for colour in (mixed, back)]


def unreadable(page):
    """Each text of the explorables whose contrast is under 4.5, with its ink and its ground."""
    widgets = page.locator(".explorable").all()
    colours = [found for widget in widgets for found in widget.evaluate(_COLOURS)]
    assert len(colours) > 15  # it has found the text there is
    return {
        text: (ink, ground)
        for text, ink, ground in colours
        if contrast(*blended(ink, ground)) < 4.5
    }


def choose_theme(page, name, light):
    """Change JupyterLab's theme as a reader does, and wait until it is in force."""
    page.locator(".lm-MenuBar-item", has_text="Settings").first.click()
    page.locator(".lm-Menu-itemLabel", has_text="Theme").first.hover()
    page.locator(".lm-Menu-itemLabel").get_by_text(name, exact=True).click()
    page.locator(f'body[data-jp-theme-light="{light}"]').wait_for(state="attached")
    # The theme's style sheet is loaded after the body has been marked.
    page.wait_for_function(
        "light => getComputedStyle(document.body).getPropertyValue('--jp-layout-color0')"
        ".trim().startsWith(light ? 'white' : '#1')",
        arg=light == "true",
    )
