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


def open_series(page: Page, archive, patient: str) -> None:
    """Goes the visitor's way: the study's link, then the first series."""
    page.open(archive.http)
    page.wait(f"document.body.innerText.includes('{patient}')")
    page.evaluate(f"[...document.querySelectorAll('.studies tr')].find(row => row.innerText.includes('{patient}')).querySelector('a').click()")
    page.wait("document.querySelector('.series a') !== null")
    page.evaluate("document.querySelector('.series a').click()")
    page.wait("document.querySelector('.header tbody tr') !== null")


def test_the_header_can_be_searched(archive, page):
    open_series(page, archive, "GD-1001")
    whole = page.evaluate("document.querySelectorAll('.header tbody tr').length")
    search = "box => { box.value = '%s'; box.dispatchEvent(new Event('input', {bubbles: true})); }"
    for words in ("PatientID", "0010,0020", "GD-1001"):
        page.evaluate(f"({search % words})(document.querySelector('#header-search'))")
        page.wait(f"document.querySelectorAll('.header tbody tr').length < {whole}")
        assert "GD-1001" in page.evaluate("document.querySelector('.header tbody').innerText"), words
    page.evaluate(f"({search % 'no such thing'})(document.querySelector('#header-search'))")
    page.wait("document.querySelectorAll('.header tbody tr').length === 0")
    assert not page.problems, page.problems


def test_studies_can_be_searched(archive, page):
    page.open(archive.http)
    page.wait("document.body.innerText.includes('GD-1004')")
    page.evaluate("(box => { box.value = 'GD-1001'; box.dispatchEvent(new Event('input')); })(document.querySelector('#search'))")
    page.wait("!document.querySelector('.results').innerText.includes('GD-1004')")
    assert "GD-1001" in page.evaluate("document.querySelector('.results').innerText")
    assert not page.problems, page.problems


def test_a_dropped_file_is_stored_and_listed(archive, page):
    import base64
    import io

    import make

    file = io.BytesIO()
    make.instance(PatientName="Dropped^File", PatientID="DROP-1", StudyDate="20261122").save_as(file, enforce_file_format=True)
    content = base64.b64encode(file.getvalue()).decode()
    page.open(archive.http)
    page.wait("document.querySelector('.studies') !== null")
    page.evaluate("""(content => {
        const bytes = Uint8Array.from(atob(content), character => character.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], 'one.dcm'));
        transfer.items.add(new File(['no DICOM'], 'two.txt'));
        window.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true}));
    })('%s')""" % content)
    page.wait("document.querySelector('#upload').innerText.includes('1 instance stored, 1 file not stored')")
    page.wait("document.querySelector('.results').innerText.includes('DROP-1')")
    assert not page.problems, page.problems


def test_the_page_can_be_used_by_keyboard(archive, page):
    page.open(archive.http)
    page.wait("document.querySelector('.studies a') !== null")
    page.evaluate("document.querySelector('.studies a').focus()")
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13)
    page.wait("location.hash.startsWith('#/study/') && document.querySelector('.series a') !== null")
    assert not page.problems, page.problems


def test_both_themes_are_readable(archive, page):
    """Text on its ground has the contrast of WCAG 2 AA."""
    contrast = """(() => {
        const light = text => {
            const parts = text.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255);
            const [r, g, b] = parts.map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = element => {
            for (let at = element; at; at = at.parentElement) {
                const color = getComputedStyle(at).backgroundColor;
                if (!/, 0\\)$|transparent/.test(color)) return color;
            }
            return 'rgb(255, 255, 255)';
        };
        const shown = [...document.querySelectorAll('a, th, td, dt, dd, button, label, p, .chip')]
            .filter(element => element.innerText && element.checkVisibility() && !element.matches('.skip'));
        return Math.min(...shown.map(element => {
            const [a, b] = [light(getComputedStyle(element).color), light(ground(element))];
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        }));
    })()"""
    for theme in ("light", "dark"):
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        page.open(archive.http)
        page.wait("document.querySelector('.studies') !== null")
        assert page.evaluate(contrast) >= 4.5, theme


def test_what_is_no_image_is_shown_by_a_sign(archive, page):
    """No picture is asked for that cannot be there."""
    import make

    report = make.instance(sop_class="1.2.840.10008.5.1.4.1.1.88.11", PatientID="NO-IMAGE", Modality="SR", StudyDate="20261122")
    for keyword in ("PixelData", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(report, keyword)
    assert archive.store(report) == [0]
    open_series(page, archive, "NO-IMAGE")
    page.wait("(image => image.complete && image.naturalWidth > 16)(document.querySelector('.viewer img'))")
    assert not page.problems, page.problems
    assert not [answer for answer in page.answers if answer[0] >= 400]


def test_nothing_is_wider_than_the_window(archive, page, tmp_path):
    from gantry import Archive

    import make

    # Every column has something long.
    archive.store(make.instance(PatientName="Longfamilyname^Longgivenname", PatientID="WIDE-1234567890", AccessionNumber="8000000000330109", StudyDescription="A description of several words", StudyDate="20261122"))
    empty = Archive(tmp_path / "empty").start()
    try:
        for width in (400, 1280):
            page.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
            page.open(empty.http)
            page.wait("document.querySelector('.empty') !== null")
            wide = "[...document.querySelectorAll('%s')].filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.className || e.tagName)"
            assert page.evaluate(wide % "html, main, .empty, .empty pre") == [], width
            assert "gantry demo" in page.evaluate("document.querySelector('.empty').innerText")
            page.open("about:blank")
            page.open(archive.http)
            page.wait("document.querySelector('.studies') !== null")
            assert page.evaluate(wide % "html, main, .results .scroll") == [], width
        assert page.evaluate("document.querySelector('.bar').offsetHeight") < 80, "what is on top is one row"
    finally:
        empty.close()
