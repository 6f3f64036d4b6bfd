"""The page in a real browser: nothing on the console, no overflow on screen or paper, images, links, texts for them."""

import html
import json
import re
from pathlib import Path

import pytest
import records
from browsers import CHROMIUM, browse, console

from analysis import report

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
PROBE = """<script>
addEventListener("load", () => {
  const images = [...document.images], root = document.documentElement;
  const links = [...document.querySelectorAll("nav a")];
  const wide = [...document.querySelectorAll("body *")].filter(
    e => !e.closest(".scroll") && e.getBoundingClientRect().right > root.clientWidth + 1);
  const scrolled = [...document.querySelectorAll(".scroll")].filter(e => e.scrollWidth > e.clientWidth + 1);
  const missed = links.filter(link => {
    link.click();
    const target = document.querySelector(":target");
    if (!target || "#" + target.id !== link.getAttribute("href")) return true;
    const top = target.getBoundingClientRect().top, end = root.scrollHeight - innerHeight - scrollY;
    return Math.abs(top) > 2 && !(end < 2 && top < innerHeight);
  });
  const found = { width: root.clientWidth, overflow: root.scrollWidth - root.clientWidth, wide: wide.length,
    scrolled: scrolled.length, images: images.length, links: links.length, missed: missed.map(e => e.textContent),
    broken: images.filter(e => !e.complete || !e.naturalWidth).length,
    silent: images.filter(e => e.alt.length < 30).length };
  document.body.innerHTML = "<pre id=found>" + JSON.stringify(found) + "</pre>";
});
</script>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with all that makes pages wide: many tasks, long names, long errors."""
    folder = tmp_path_factory.mktemp("browser")
    study = records.write_study(folder / "demo", seeds=2)
    records.write(study, "gru", seed=7, status="failed", error="x" * 60 + " " + "a long sentence " * 12)
    records.write(study, "lstm[forget.feeds=xb,input.kind=constant]", seed=0)
    assert report.main([f"study={study}", f"out={folder / 'out'}"]) == 0
    return folder / "out" / "index.html"


def probe(text: str, folder: Path, width: int = 1366) -> dict:
    """What the page looks like from the inside; nothing may be on its console."""
    file = folder / "page.html"
    file.write_text(text.replace("</body>", PROBE + "</body>"))
    done = browse(file, folder, "--dump-dom", width=width)
    assert console(done) == []
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout)
    return json.loads(html.unescape(found[1]))


def test_the_page_fits_a_laptop_and_its_images_and_links_work(page, tmp_path):
    found = probe(page.read_text(), tmp_path)
    assert found["width"] >= 1300
    assert (found["overflow"], found["wide"], found["broken"], found["silent"], found["missed"]) == (0, 0, 0, 0, [])
    assert found["images"] >= 5
    assert found["links"] >= 12


def test_paper_cuts_nothing_off(page, tmp_path):
    """What the page's print rules make of a sheet of A4 with margins of 1 cm: 718 CSS pixels between them."""
    text = page.read_text().replace("@media print", "@media all")
    found = probe(text, tmp_path, width=718)
    assert found["width"] == 718
    assert (found["overflow"], found["wide"], found["scrolled"]) == (0, 0, 0)


def test_the_page_prints(page, tmp_path):
    done = browse(page, tmp_path, f"--print-to-pdf={tmp_path / 'page.pdf'}", "--no-pdf-header-footer")
    assert console(done) == []
    pdf = (tmp_path / "page.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 3


def test_the_probe_sees_what_is_wrong(tmp_path):
    bad = '<nav><a href="#nowhere">a</a></nav><img src="no.png" alt=""><div style="width: 3000px">wide</div>'
    (tmp_path / "bad.html").write_text(f"<body>{bad}<script>console.error('seen')</script>{PROBE}</body>")
    done = browse(tmp_path / "bad.html", tmp_path, "--dump-dom")
    assert any("seen" in line for line in console(done))
    found = json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout)[1]))
    assert found["missed"] == ["a"]
    assert min(found["overflow"], found["wide"], found["broken"], found["silent"]) > 0
