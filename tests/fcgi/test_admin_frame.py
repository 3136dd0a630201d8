"""Each page is a whole HTML file, so the frame stands in each of them: here it is held to be the same in all."""

import re

import pytest

from support.parts import TOP

PAGES = sorted((TOP / "www").glob("*.html"))
ROUTES = (TOP / "fcgi" / "admin_routes.c").read_text()


def frame_of(page):
    """Before the title, from there to where the page's own content begins, and after it; without what is a page's own: samples, and its links to wrong fields."""
    text = re.sub(r' aria-current="[a-z]+"', "", page.read_text())
    text = re.sub(r'(data-text="[^"]+">)[^<]*<', r"\1<", text)
    text = re.sub(r'<ul data-if="(?:settings/)?wrong">.*</ul>\n|<p data-if="settings/meanwhile">.*</p>\n', "", text)
    head, rest = re.split(r"<title[^>]*>[^<]*</title>\n", text, maxsplit=1)
    problem_ends = rest.index("</section>\n", rest.index('data-if="/problem"')) + len("</section>\n")
    return head, rest[:problem_ends], rest[rest.index("</main>"):]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_the_frame_of_all_pages(page):
    assert frame_of(page) == frame_of(TOP / "www" / "message.html")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_marks_at_most_one_place_in_the_navigation_as_the_readers(page):
    navigation = re.search(r'<nav aria-label="Pages">.*?</nav>', page.read_text()).group()

    assert len(re.findall("aria-current=", navigation)) == (0 if page.name == "message.html" else 1)


def test_each_address_in_the_navigation_is_a_route():
    navigation = re.search(r'<nav aria-label="Pages">.*?</nav>', (TOP / "www" / "message.html").read_text()).group()
    patterns = set(re.findall(r'"GET",\s*"([^"]+)"', ROUTES))

    assert [address for address in re.findall(r'href="([^"]+)"', navigation) if address not in patterns] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_form_that_changes_something_carries_its_token(page):
    for form in re.findall(r'<form[^>]*method="post".*?</form>', page.read_text(), re.S):
        assert re.search(r'<input type="hidden" name="csrf" [^>]*data-attr-value="/csrf/[a-z_]+"/>', form), form[:120]
