"""Face tags as programs write them: XMP in each of its forms, in photos and beside them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import quoteattr

from PIL import Image

Box = tuple[float, float, float, float]
Named = Sequence[tuple[str, Box]]

_SPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "dc": "http://purl.org/dc/elements/1.1/",
}
FORMS = ("lightroom", "picasa", "digikam", "elements", "microsoft", "microsoft elements")
# Where row 0 and column 0 of the stored picture are, undone: how Pillow stores an upright one.
STORED = {
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def xmp(form: str, regions: Named, size: tuple[int, int] | None = None) -> bytes:
    """A packet with regions (x1, y1, x2, y2 in [0, 1]). size: AppliedToDimensions."""
    body = _microsoft(form, regions) if form.startswith("microsoft") else _mwg(form, regions, size)
    spaces = " ".join(f"xmlns:{prefix}={quoteattr(uri)}" for prefix, uri in _SPACES.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {spaces}>'
        f'<rdf:Description rdf:about="">{body}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def _mwg(form: str, regions: Named, size: tuple[int, int] | None) -> str:
    dim = ""
    if size and form == "elements":
        dim = (f'<mwg-rs:AppliedToDimensions rdf:parseType="Resource"><stDim:w>{size[0]}</stDim:w>'
               f"<stDim:h>{size[1]}</stDim:h></mwg-rs:AppliedToDimensions>")  # fmt: skip
    elif size:
        dim = f'<mwg-rs:AppliedToDimensions stDim:w="{size[0]}" stDim:h="{size[1]}"/>'
    listed = "".join(f"<rdf:li{_item(form, name, box)}</rdf:li>" for name, box in regions)
    inner = f"{dim}<mwg-rs:RegionList><rdf:Bag>{listed}</rdf:Bag></mwg-rs:RegionList>"
    if form == "lightroom":
        return f"<mwg-rs:Regions><rdf:Description>{inner}</rdf:Description></mwg-rs:Regions>"
    return f'<mwg-rs:Regions rdf:parseType="Resource">{inner}</mwg-rs:Regions>'


def _item(form: str, name: str, box: Box) -> str:
    x1, y1, x2, y2 = box
    area = {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "w": x2 - x1, "h": y2 - y1}
    called = quoteattr(name)
    if form == "elements":
        parts = "".join(f"<stArea:{k}>{v!r}</stArea:{k}>" for k, v in area.items())
        return (f' rdf:parseType="Resource"><mwg-rs:Name>{called[1:-1]}</mwg-rs:Name>'
                "<mwg-rs:Type>Face</mwg-rs:Type>"
                f'<mwg-rs:Area rdf:parseType="Resource">{parts}</mwg-rs:Area>')  # fmt: skip
    parts = " ".join(f'stArea:{k}="{v!r}"' for k, v in area.items())
    drawn = f'<mwg-rs:Area {parts} stArea:unit="normalized"/>'
    if form == "digikam":
        return (f' rdf:parseType="Resource"><mwg-rs:Name>{called[1:-1]}</mwg-rs:Name>'
                f"<mwg-rs:Type>Face</mwg-rs:Type>{drawn}")  # fmt: skip
    return (f'><rdf:Description mwg-rs:Name={called} mwg-rs:Type="Face">'
            f"{drawn}</rdf:Description>")  # fmt: skip


def _microsoft(form: str, regions: Named) -> str:
    listed = []
    for name, (x1, y1, x2, y2) in regions:
        place = f"{x1!r}, {y1!r}, {x2 - x1!r}, {y2 - y1!r}"
        called = quoteattr(name)
        if form == "microsoft":
            listed.append(f'<rdf:li MPReg:Rectangle="{place}" MPReg:PersonDisplayName={called}/>')
        else:
            listed.append(
                '<rdf:li rdf:parseType="Resource">'
                f"<MPReg:Rectangle>{place}</MPReg:Rectangle>"
                f"<MPReg:PersonDisplayName>{called[1:-1]}</MPReg:PersonDisplayName></rdf:li>"
            )
    return (
        '<MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag>'
        + "".join(listed)
        + "</rdf:Bag></MPRI:Regions></MP:RegionInfo>"
    )


def stored(box: Box, orientation: int) -> Box:
    """Where a box of the upright picture lies in the stored one; shares."""
    x1, y1, x2, y2 = box
    if orientation in (2, 3, 6, 7):
        x1, x2 = 1 - x2, 1 - x1
    if orientation in (3, 4, 7, 8):
        y1, y2 = 1 - y2, 1 - y1
    return (y1, x1, y2, x2) if orientation >= 5 else (x1, y1, x2, y2)


def jpeg(picture: Image.Image, orientation: int = 1, packet: bytes = b"") -> bytes:
    """An upright picture stored in another orientation, which its EXIF tells; with XMP inside."""
    turn = STORED[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    more: Mapping[str, bytes] = {"xmp": packet} if packet else {}
    turned = picture if turn is None else picture.transpose(turn)
    turned.save(out, "JPEG", quality=92, exif=exif, **more)
    return out.getvalue()
