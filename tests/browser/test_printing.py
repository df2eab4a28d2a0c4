"""The cheatsheet, printed: one sheet of paper."""

import re
from pathlib import Path

from course_lib.widgets.page import LessonPage

CHEATSHEET = Path(__file__).parents[2] / "notebooks" / "cheatsheet.ipynb"


def test_it_prints_on_one_page(browser, tmp_path):
    file = tmp_path / "cheatsheet.html"
    file.write_text(LessonPage().from_filename(str(CHEATSHEET))[0], encoding="utf-8")
    page = browser.new_page()
    page.goto(file.as_uri())
    assert page.locator("img").first.get_attribute("alt").startswith("An executor in its container")
    # As the page itself says: A4, across.
    printed = page.pdf(prefer_css_page_size=True)
    page.close()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
