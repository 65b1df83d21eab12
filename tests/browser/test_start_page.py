"""The start page as a visitor sees it: numbers, studies, pictures, headers; and nothing broken."""

from conftest import Page


def text(page: Page) -> str:
    return page.evaluate("document.body.innerText")


def test_the_start_page_shows_what_is_stored(archive, page, tmp_path):
    page.open(archive.http)
    page.wait("document.body.innerText.includes('Müller') || document.body.innerText.includes('GD-1001')")
    shown = text(page)
    for patient in ("GD-1001", "GD-1004", "GD-1008"):
        assert patient in shown, shown[:2000]
    for name in ("Müller", "Иванова", "山田", "Παπαδόπουλος"):
        assert name in shown, name
    assert archive.ae_title in shown
    page.screenshot(tmp_path / "start.png")
    assert not page.problems, page.problems
    assert not [answer for answer in page.answers if answer[0] >= 400]


def test_counts_are_those_of_the_archive(archive, page):
    page.open(archive.http)
    page.wait("document.body.innerText.includes('GD-1001')")
    shown = text(page).replace(",", "").replace("\u202f", "").replace("\u00a0", "")
    assert str(len(archive.instances())) in shown


def test_key_images_of_a_study_are_rendered(archive, page, tmp_path):
    """Following the first study's link leads to pictures that are not empty."""
    page.open(archive.http)
    page.wait("document.body.innerText.includes('GD-1001')")
    href = page.evaluate("""(() => {
        const row = [...document.querySelectorAll('a, tr, li, article')].find(e => e.innerText.includes('GD-1001'));
        const link = row.matches('a') ? row : row.querySelector('a');
        return link && link.href;
    })()""")
    assert href, "the study has no link"
    page.open(href)
    page.wait("[...document.images].length > 0 && [...document.images].every(i => i.complete)")
    spreads = page.evaluate("""(async () => [...document.images].filter(i => i.naturalWidth > 16).map(image => {
        const canvas = document.createElement('canvas');
        canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
        const context = canvas.getContext('2d');
        context.drawImage(image, 0, 0);
        const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
        let low = 255, high = 0;
        for (let at = 0; at < data.length; at += 4) { low = Math.min(low, data[at]); high = Math.max(high, data[at]); }
        return high - low;
    }))()""")
    page.screenshot(tmp_path / "study.png")
    assert spreads and max(spreads) > 60, spreads
    assert not page.problems, page.problems


def test_the_page_follows_its_content_security_policy(archive, page):
    import httpx

    policy = httpx.get(archive.http).headers.get("content-security-policy", "")
    assert "default-src" in policy
    assert "unsafe-inline" not in policy.split("script-src")[-1].split(";")[0]
    page.open(archive.http)
    page.wait("document.body.innerText.includes('GD-1001')")
    assert not [problem for problem in page.problems if "Content Security Policy" in problem]


def test_names_are_text_not_markup(archive, page):
    """A patient's name that looks like HTML is shown, not run."""
    import make

    archive.store(make.instance(PatientName="<img src=x onerror=window.broken=1>", PatientID="<b>BOLD</b>", StudyDate="20261122"))
    page.open(archive.http)
    page.wait("document.body.innerText.includes('GD-1001')")
    assert page.evaluate("window.broken === undefined")
