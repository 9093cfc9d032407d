"""Whom the names of folders and files name, and which name nobody.

Cameras, telephones, doorbells, messengers and scripts name files; cameras, systems and people who
sort by event name folders. None of these is a person, and none may become one in silence.
"""

from __future__ import annotations

import re
import unicodedata

# Folders that hold people's folders or a camera's, never one person. Val may be somebody.
_ALBUM = re.compile(
    r"train|test|val|valid|validation|dev"
    r"|(?i:faces?|dcim|camera(?: roll| uploads)?|desktop|documents?|backups?|archives?|misc|te?mp"
    r"|untitled|unsorted|others?|everybody|people|persons|team|staff|family|friends|strangers"
    r"|new folder.*|neuer ordner.*|nouveau dossier.*|nueva carpeta.*|nuova cartella.*"
    r"|nova pasta.*|новая папка.*|untitled folder.*|ohne titel.*|.*\.(?:\w*library|lrdata))"
    r"|[1-9]\d\d[A-Z_]{5}"
)
# Of a folder's name one such word suffices: Photos from 2020, WhatsApp Images, Mein Fotoalbum.
_ALBUM_WORDS = re.compile(
    r"(?:[a-z]*(?:photo|foto)(?:s|graphs|grafias?)?|photostream|images?|imagens|imágenes|imagenes"
    r"|immagini|pictures?|pics|bilder|afbeeldingen|zdjęcia|obrázky|фото\w*|изображения|снимки"
    r"|[a-z]*albums?|fotoalbum|screenshots?|videos?|movies|slideshows?|thumbnails"
    r"|downloads?|uploads|wallpapers?|selfies|snapshots|takeout|whatsapp|instagram|snapchat"
    r"|telegram|facebook|messenger|viber|wechat|weixin|tiktok)"
)
_ALBUM_SIGNS = ("照片", "相册", "图片", "写真", "画像", "사진")

# What cameras, telephones, messengers and scripts call files, with or without a number or date.
_DEVICE = (
    r"_?img|imgp|fb_img|mvimg|_?dsc|dscn|dscf|_mg|pxl|pict|cimg|hpim|kimg|gopr|vid|video|frame|"
    r"images?|pictures?|pics?|photos?|fotos?|bild|imagen|immagine|selfie|portrait|avatar|scan|"
    r"screen ?shot|bildschirmfoto|capture d.écran|captura de pantalla|whatsapp image|signal|"
    r"received|mmexport|kakaotalk|line_album|微信图片|图片|照片|截图|写真|画像|スクリーンショット|"
    r"사진|스크린샷|截屏|截图|屏幕截图|untitled|unnamed|download|file|faces?|person|people|subject|"
    r"user|sample|panorama|burst|live[ _]photo|capture|webcam|thumb(?:nail)?|epson"
)
_NOBODY = re.compile(
    rf"(?:{_DEVICE})(?:[\W_]*(?:e|at|from|on|vom|am|le|du|el)?[\W_]*\d.*|[\W_]*)"
    r"|p[\W_]*\d{4,}.*|wa\d{4,}|.*burst\d{8,}.*"
    r"|[\W\d_]+[a-z]?"  # digits, dates, 469823984_1234567890_n
    r"|(?=.*\d)[0-9a-f]{8,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.DOTALL,
)
# One word of letters and digits in turn, as servers call what they were sent: EkX3abcXUAE1234.
_TOKEN = re.compile(r"(?=.{10})[A-Za-z]*\d[A-Za-z\d]*[A-Za-z][A-Za-z\d]*")
# What a camera wrote, after what was put before it: thumb_IMG_1234, Copy of DSC01234.
_INSIDE = re.compile(rf"(?<![^\W_])(?:{_DEVICE})[\W_]*e?\d{{3,}}")
# A maker's code and a number: DJI_0001, R0012345, WIN_20200101_12_00_00_Pro.
_CODE = re.compile(r"[A-Z]{1,5}[\W_]?\d{4,}.*", re.DOTALL)
# A date, or a number too long to count photos: a telephone's, a doorbell's, a download's.
_STAMP = re.compile(
    r"(?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d|\d{1,2}[-_.]\d{1,2}[-_.]\d{2,4}|\d{5,}"
)
# What is added to a copy's name.
_COPY = re.compile(
    r"(?:[\s_]*\(\d+\)|\s*\((?:copy|kopie|copia|copie)\)"
    r"|[\s_-]+(?:copy|kopie|copia|copie|edited|bearbeitet)(?:[\s_]*\d{1,3})?)+$",
    re.IGNORECASE,
)
# One counter at the end: Ada_1, Ada_0001, Ada-2, Ada 3.
_COUNTER = re.compile(r"[_\- ]+\d+$")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")


def person_in_file_name(stem: str) -> str | None:
    """The subject that a file's name without its ending gives; None where it names nobody.

    A counter, a copy's mark or a date at its end is not the name's. Underscores become blanks.
    """
    name = _COPY.sub("", unicodedata.normalize("NFC", stem))
    if not name or _NOBODY.fullmatch(name.casefold()):
        return None
    if _CODE.fullmatch(name) or _TOKEN.fullmatch(name):
        return None
    if stamp := _INSIDE.search(name.casefold()) or _STAMP.search(name):
        before = spaced(name[: stamp.start()].rstrip(" _-."))
        # Tony Blair 20190101 is one of Tony Blair's; Snapchat-123456789 is nobody.
        long = len(re.sub(r"\D", "", name[stamp.start() :])) > 8
        return None if long or personal(before) < 2 else before
    return spaced(_COUNTER.sub("", name))


def spaced(name: str) -> str:
    """With blanks for underscores."""
    return " ".join(name.replace("_", " ").split())


def is_album(name: str) -> bool:
    """Whether a folder called so holds people's folders or a camera's, never one person."""
    name = unicodedata.normalize("NFC", name)
    words = re.findall(r"[^\W\d_]+", name.casefold())
    return (
        _ALBUM.fullmatch(name) is not None
        or any(_ALBUM_WORDS.fullmatch(word) for word in words)
        or any(sign in name for sign in _ALBUM_SIGNS)
    )


def is_dubious(name: str) -> bool:
    """Whether a folder's name is a number or holds a year, as an album's may, and as an id may."""
    return not any(letter.isalpha() for letter in name) or _YEAR.search(name) is not None


def personal(name: str) -> int:
    """How much a name is written like a person's: 2, as first and last name; 1, as one; 0, not.

    By capitals, `Tony Blair`, small words in between, `Ursula von der Leyen`; a script without
    capitals, in which nobody writes `front` or `img`, counts as both.
    """
    words = [word for word in re.split(r"[\s_.\-]+", name) if word]
    if not words or any(letter.isdigit() for letter in name):
        return 0
    if any(word[0].isalpha() and word[0].upper() == word[0].lower() for word in words):
        return 2
    small = [word for word in words if not word[0].isupper()]
    if small and (words[0] in small or words[-1] in small or any(len(w) > 3 for w in small)):
        return 0
    return min(2, len(words))
