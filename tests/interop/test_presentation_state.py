"""Images rendered through softcopy presentation states (PS3.18 8.3.5, PS3.4 N)."""

import io
import math

import httpx
import numpy
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

import make
from sources import SHARED
from web import dumped, stored, stow

GRAYSCALE, COLOR, PSEUDO_COLOR, BLENDING = (f"1.2.840.10008.5.1.4.1.1.11.{number}" for number in (1, 2, 3, 4))
PNG = {"Accept": "image/png"}
EDGE = 32


def path(data_set, *more: str) -> str:
    return "/".join([f"/studies/{data_set.StudyInstanceUID}/series/{data_set.SeriesInstanceUID}/instances/{data_set.SOPInstanceUID}", *more])


def reference(image, frames=None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    if frames:
        item.ReferencedFrameNumber = frames
    return item


def state(*images, sop_class: str = GRAYSCALE, frames=None, **attributes) -> Dataset:
    """A presentation state of images, in a series of its own."""
    first = images[0]
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = sop_class, make.uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = first.StudyInstanceUID, make.uid()
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber", "StudyID"):
        setattr(made, keyword, getattr(first, keyword))
    made.Modality, made.SeriesNumber, made.InstanceNumber = "PR", 7, 1
    made.ContentLabel, made.PresentationCreationDate, made.PresentationCreationTime = "STATE", "20260314", "110000"
    series = Dataset()
    series.SeriesInstanceUID = first.SeriesInstanceUID
    series.ReferencedImageSequence = [reference(image, frames) for image in images]
    made.ReferencedSeriesSequence = [series]
    made.PresentationLUTShape = "IDENTITY"
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = sop_class, made.SOPInstanceUID
    return made


def item(**attributes) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def area(one, other, **attributes) -> Dataset:
    return item(DisplayedAreaTopLeftHandCorner=one, DisplayedAreaBottomRightHandCorner=other, **({"PresentationSizeMode": "SCALE TO FIT", "PresentationPixelAspectRatio": [1, 1]} | attributes))


def graphic(kind: str, points, units: str = "PIXEL", **attributes) -> Dataset:
    data = [float(value) for point in points for value in point]
    return item(GraphicAnnotationUnits=units, GraphicDimensions=2, NumberOfGraphicPoints=len(points), GraphicData=data, GraphicType=kind, **attributes)


def window(centre: float, width: float, **attributes) -> Dataset:
    return item(WindowCenter=centre, WindowWidth=width, **attributes)


def pixels(answer: httpx.Response, mode: str = "L") -> numpy.ndarray:
    assert answer.status_code == 200, dumped(answer)
    return numpy.asarray(Image.open(io.BytesIO(answer.content)).convert(mode)).astype(int)


@pytest.fixture(scope="module")
def image() -> Dataset:
    """Twelve bits of noise, with a window of its own that a state takes no notice of."""
    noise = numpy.random.default_rng(4).integers(0, 4096, (EDGE, EDGE), dtype="<u2")
    made = make.instance(edge=EDGE, BitsStored=12, HighBit=11, WindowCenter=100, WindowWidth=10, RescaleSlope=3, RescaleIntercept=-7)
    made.PixelData = noise.tobytes()
    return made


@pytest.fixture
def show(shared, image):
    """Stores the image and a state of it, and gives the state's picture."""

    def shown(mode: str = "L", query: str = "", of=None, **attributes) -> numpy.ndarray:
        of = of or image
        made = state(of, **attributes)
        with shared.client() as client:
            answer = stow(client, [make.part10(of), make.part10(made)])
            assert made.SOPInstanceUID in stored(answer), dumped(answer)
            return pixels(client.get(path(made, f"rendered{query}"), headers=PNG), mode)

    return shown


def whole(image) -> numpy.ndarray:
    """All twelve bits as eight."""
    return numpy.floor(image.pixel_array / 4095 * 255 + 0.5).astype(int)


def test_without_contrast_of_its_own_the_whole_range_is_shown(show, image):
    assert (show() == whole(image)).all()


def test_inverse(show, image):
    wanted = numpy.floor((1 - image.pixel_array / 4095) * 255 + 0.5).astype(int)
    assert (show(PresentationLUTShape="INVERSE") == wanted).all()


def test_rescaling_and_window(show, image):
    got = show(RescaleSlope=0.5, RescaleIntercept=-1000, RescaleType="US", SoftcopyVOILUTSequence=[window(-200, 500)])
    value = image.pixel_array * 0.5 - 1000
    wanted = numpy.clip((value + 200.5) / 499 + 0.5, 0, 1) * 255
    assert abs(got - wanted).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("function, formula", [
    ("LINEAR_EXACT", lambda value: numpy.clip((value - 2000) / 1000 + 0.5, 0, 1)),
    ("SIGMOID", lambda value: 1 / (1 + numpy.exp(-4 * (value - 2000) / 1000))),
])
def test_other_window_functions(show, image, function, formula):
    got = show(SoftcopyVOILUTSequence=[window(2000, 1000, VOILUTFunction=function)])
    assert abs(got - formula(image.pixel_array.astype(float)) * 255).max() <= 0.5 + 1e-6


def test_a_long_table(show, image):
    """4,096 entries are not in the header that the server keeps."""
    entries = (numpy.arange(4096) * 37 % 4096).astype("<u2")
    lut = Dataset()
    lut.add_new("LUTDescriptor", "US", [4096, 0, 12])
    lut.add_new("LUTData", "OW", entries.tobytes())
    got = show(SoftcopyVOILUTSequence=[item(VOILUTSequence=[lut])])
    assert (got == numpy.floor(entries[image.pixel_array] / 4095 * 255 + 0.5)).all()


@pytest.mark.parametrize("degrees, flip", [(0, "Y"), (90, "N"), (90, "Y"), (180, "N"), (270, "Y")])
def test_the_flip_follows_the_rotation(show, image, degrees, flip):
    wanted = numpy.rot90(whole(image), -degrees // 90)
    wanted = numpy.fliplr(wanted) if flip == "Y" else wanted
    assert (show(ImageRotation=degrees, ImageHorizontalFlip=flip) == wanted).all()


def test_displayed_area(show, image):
    assert (show(DisplayedAreaSelectionSequence=[area([5, 3], [20, 12])]) == whole(image)[2:12, 4:20]).all()
    beyond = show(DisplayedAreaSelectionSequence=[area([-1, 1], [EDGE, EDGE + 3])])
    assert beyond.shape == (EDGE + 3, EDGE + 2)
    assert (beyond[:EDGE, 2:] == whole(image)).all() and not beyond[EDGE:].any() and not beyond[:, :2].any()
    magnified = show(DisplayedAreaSelectionSequence=[area([5, 3], [20, 12], PresentationSizeMode="MAGNIFY", PresentationPixelMagnificationRatio=2.0)])
    assert magnified.shape == (20, 32)


def test_state_then_region_then_viewport(show, image):
    turned = numpy.rot90(whole(image), -1)
    assert (show(ImageRotation=90, query="?viewport=8,4,10,20,8,4") == turned[20:24, 10:18]).all()
    assert show(ImageRotation=90, query="?viewport=16,300").shape == (16, 16)
    flipped = show(ImageRotation=90, query=f"?viewport={EDGE},{EDGE},,,-{EDGE},")
    assert (flipped == numpy.fliplr(turned)).all()


def test_shutters(show, image):
    edges = {"ShutterLeftVerticalEdge": 4, "ShutterRightVerticalEdge": 28, "ShutterUpperHorizontalEdge": 6, "ShutterLowerHorizontalEdge": 30}
    disc = {"CenterOfCircularShutter": [16, 12], "RadiusOfCircularShutter": 9}
    got = show(ShutterShape=["RECTANGULAR", "CIRCULAR"], ShutterPresentationValue=0x8000, **edges, **disc)
    row, column = numpy.mgrid[1 : EDGE + 1, 1 : EDGE + 1]
    open_ = (column >= 4) & (column <= 28) & (row >= 6) & (row <= 30) & ((row - 16) ** 2 + (column - 12) ** 2 <= 81)
    assert (got == numpy.where(open_, whole(image), 128)).all()


def test_graphics_lie_in_their_layers(show, image):
    """The line of many points, which is not in the header that the server keeps, is on top."""
    square = graphic("POLYLINE", [(4, 0), (12, 0), (12, 12), (4, 12), (4, 0)], GraphicFilled="Y")
    line = graphic("POLYLINE", [(x / 10, 0.25) for x in range(EDGE * 10)])
    layers = [item(GraphicLayer=name, GraphicLayerOrder=order, GraphicLayerRecommendedDisplayGrayscaleValue=grey) for name, order, grey in [("TOP", 3, 0xFFFF), ("LOW", 1, 0x4000)]]
    annotations = [item(GraphicLayer="TOP", GraphicObjectSequence=[line]), item(GraphicLayer="LOW", GraphicObjectSequence=[square])]
    got = show(GraphicLayerSequence=layers, GraphicAnnotationSequence=annotations)
    wanted = whole(image)
    # The outline reaches the pixels that its coordinates are in.
    wanted[0:13, 4:13] = 64
    wanted[0, :] = 255
    assert (got == wanted).all()


def test_an_overlay_is_shown_in_its_layer(shared, image):
    bits = numpy.zeros((EDGE, EDGE), dtype=bool)
    bits[3:7, 8] = True
    made = state(image, ImageRotation=90, ImageHorizontalFlip="N")
    made.GraphicLayerSequence = [item(GraphicLayer="BITS", GraphicLayerOrder=1, GraphicLayerRecommendedDisplayGrayscaleValue=0)]
    plane = numpy.packbits(bits, bitorder="little").tobytes()
    for element, vr, value in [(0x10, "US", EDGE), (0x11, "US", EDGE), (0x40, "CS", "G"), (0x50, "SS", [1, 1]), (0x100, "US", 1), (0x102, "US", 0), (0x3000, "OW", plane), (0x1001, "CS", "BITS")]:
        made.add_new((0x6000, element), vr, value)
    wanted = whole(image)
    wanted[bits] = 0
    with shared.client() as client:
        stow(client, [make.part10(image), make.part10(made)])
        assert (pixels(client.get(path(made, "rendered"), headers=PNG)) == numpy.rot90(wanted, -1)).all()


def test_text_and_circles_are_drawn(show):
    black = make.instance(edge=96, BitsStored=12, HighBit=11)
    black.PixelData = bytes(96 * 96 * 2)
    label = item(
        BoundingBoxAnnotationUnits="DISPLAY", BoundingBoxTopLeftHandCorner=[0.5, 0.5], BoundingBoxBottomRightHandCorner=[1.0, 0.75], BoundingBoxTextHorizontalJustification="RIGHT",
        UnformattedTextValue="Läsion",
    )
    circle = graphic("CIRCLE", [(20.5, 20.5), (30.5, 20.5)])
    got = show(of=black, GraphicAnnotationSequence=[item(GraphicLayer="L", GraphicObjectSequence=[circle], TextObjectSequence=[label])], SpecificCharacterSet="ISO_IR 100")
    assert set(numpy.unique(got)) == {0, 255}
    rows, columns = numpy.nonzero(got[:42, :42])
    assert all(abs(math.hypot(row - 20, column - 20) - 10) < 1 for row, column in zip(rows, columns)) and len(rows) >= 56
    rows, columns = numpy.nonzero(got[42:])
    assert rows.min() + 42 >= 48 and rows.max() + 42 < 72 and columns.min() >= 48 and columns.max() >= 88


def test_pseudo_color(show, image):
    tables = {}
    for name, table in [("Red", numpy.arange(256)), ("Green", 255 - numpy.arange(256)), ("Blue", numpy.arange(256) // 2)]:
        tables[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tables[f"{name}PaletteColorLookupTableData"] = (table * 257).astype("<u2").tobytes()
    got = show("RGB", sop_class=PSEUDO_COLOR, query="?iccprofile=no", SoftcopyVOILUTSequence=[window(2048, 4096)], **tables)
    index = numpy.round(image.pixel_array / 4095 * 255).astype(int)
    wanted = numpy.stack([index, 255 - index, index // 2], axis=-1)
    assert abs(got - wanted).max() <= 1 and (got == wanted).mean() > 0.99


def test_color(show):
    colours = numpy.random.default_rng(5).integers(0, 256, (8, 8, 3), dtype="u1")
    photo = make.instance(sop_class=str(make.SECONDARY_CAPTURE), SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0, BitsAllocated=8, BitsStored=8, HighBit=7)
    photo.add_new("PixelData", "OB", colours.tobytes())
    got = show("RGB", of=photo, sop_class=COLOR, ImageRotation=180, ImageHorizontalFlip="N")
    assert (got == numpy.rot90(colours, 2)).all()


def test_frames(shared):
    """Without a number the first frame that is referenced; others only if they are referenced."""
    many = make.instance(edge=4, NumberOfFrames=5, BitsStored=8, HighBit=7, BitsAllocated=8)
    many.add_new("PixelData", "OB", bytes(number * 10 for number in range(1, 6) for _ in range(16)))
    made = state(many, frames=[4, 2])
    with shared.client() as client:
        stow(client, [make.part10(many), make.part10(made)])
        assert (pixels(client.get(path(made, "rendered"), headers=PNG)) == 40).all()
        assert (pixels(client.get(path(made, "frames", "2", "rendered"), headers=PNG)) == 20).all()
        assert client.get(path(made, "frames", "2,4", "rendered"), headers={"Accept": 'multipart/related; type="image/png"'}).status_code == 200
        for number in ("1", "9"):
            assert client.get(path(made, "frames", number, "rendered"), headers=PNG).status_code == 404


def test_thumbnails_show_the_state(shared, image):
    made = state(image, PresentationLUTShape="INVERSE")
    with shared.client() as client:
        stow(client, [make.part10(image), make.part10(made)])
        got = pixels(client.get(path(made, f"thumbnail?viewport={EDGE},{EDGE}"), headers=PNG))
    assert abs(got - (255 - whole(image))).max() <= 1


def test_what_cannot_be_rendered_says_so(shared, image):
    lonely = state(make.instance(study=image.StudyInstanceUID))
    blending = state(image, sop_class=BLENDING)
    masked = state(image, MaskSubtractionSequence=[item(MaskOperation="AVG_SUB", MaskFrameNumbers=1)])
    plain = state(image)
    with shared.client() as client:
        stow(client, [make.part10(one) for one in (image, lonely, blending, masked, plain)])
        for made, query, headers, status in [
            (lonely, "", PNG, 404), (blending, "", PNG, 406), (masked, "", PNG, 406), (plain, "?window=10,20,linear", PNG, 400), (plain, "?viewport=8,8,0,0,33,8", PNG, 400),
            (plain, "", {"Accept": "text/html"}, 406), (plain, "", {"Accept": "application/x-nonsense"}, 406),
        ]:
            answer = client.get(path(made, f"rendered{query}"), headers=headers)
            assert answer.status_code == status, dumped(answer)
            assert len(answer.json()["detail"]) > 10
        for made in (lonely, blending, masked):
            assert client.get(path(made, "thumbnail"), headers=PNG).status_code == 200, "a sign"


def test_wado_uri(shared, image):
    other = make.instance(study=image.StudyInstanceUID)
    made = state(image, PresentationLUTShape="INVERSE")
    with shared.client() as client:
        stow(client, [make.part10(one) for one in (image, other, made)])

    def ask(of=image, **more):
        parameters = {
            "requestType": "WADO", "studyUID": of.StudyInstanceUID, "seriesUID": of.SeriesInstanceUID, "objectUID": of.SOPInstanceUID, "contentType": "image/png",
            "presentationUID": made.SOPInstanceUID, "presentationSeriesUID": made.SeriesInstanceUID,
        } | more
        return httpx.get(f"{shared.http}/wado", params={name: text for name, text in parameters.items() if text}, timeout=60)

    assert abs(pixels(ask()) - (255 - whole(image))).max() <= 1
    assert pixels(ask(rows="8")).shape == (8, 8)
    for more, status in [
        ({"windowCenter": "1", "windowWidth": "2"}, 400), ({"region": "0,0,1,1"}, 400), ({"presentationSeriesUID": None}, 400), ({"presentationUID": make.uid()}, 404),
        ({"of": other}, 404), ({"presentationUID": other.SOPInstanceUID, "presentationSeriesUID": other.SeriesInstanceUID}, 400), ({"contentType": "text/html"}, 406),
    ]:
        answer = ask(**more)
        assert answer.status_code == status, f"{more}: {dumped(answer)}"


def collected() -> list:
    """Presentation states of the collection with the images beside them."""
    return [folder for folder in [SHARED / "non-image" / "pr-ko", SHARED / "synthetic" / "petct"] if folder.exists()]


@pytest.mark.parametrize("folder", collected(), ids=lambda folder: folder.name)
def test_states_of_the_collection_are_rendered(shared, folder):
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.suffix == ".dcm"]
    heads = {file: pydicom.dcmread(file, stop_before_pixels=True, force=True) for file in files}
    states = [head for head in heads.values() if str(head.get("SOPClassUID", "")) in (GRAYSCALE, COLOR, PSEUDO_COLOR)]
    wanted = {one.ReferencedSOPInstanceUID for made in states for series in made.ReferencedSeriesSequence for one in series.ReferencedImageSequence}
    wanted |= {made.SOPInstanceUID for made in states}
    shared.store_files([file for file, head in heads.items() if head.get("SOPInstanceUID") in wanted])
    assert states
    with shared.client() as client:
        statuses = {made.SOPInstanceUID: client.get(path(made, "rendered"), headers=PNG).status_code for made in states}
    assert set(statuses.values()) == {200}, statuses
