"""Phones: their classes, and what counts as silence."""

from __future__ import annotations

SILENCE = "SIL"
SILENT = ("", "sil", "sp", "SIL", "SP", "<eps>", "pau", "h#")  # how aligners label that nobody speaks

CLASSES = {
    "vowels": ("AA", "AE", "AH", "AO", "EH", "ER", "IH", "IY", "UH", "UW"),
    "diphthongs": ("AW", "AY", "EY", "OW", "OY"),
    "approximants": ("L", "R", "W", "Y"),
    "nasals": ("M", "N", "NG"),
    "fricatives": ("DH", "F", "HH", "S", "SH", "TH", "V", "Z", "ZH"),
    "stops, affricates": ("B", "CH", "D", "G", "JH", "K", "P", "T"),
}
OTHERS = "others"
_CLASS = {phone: name for name, phones in CLASSES.items() for phone in phones}


def class_of(phone: str) -> str:
    """Return the class of an ARPAbet phone, with or without stress; `OTHERS` for what is none."""
    return _CLASS.get(phone.rstrip("012"), OTHERS)


def tidy(phones: list[str], seconds: list[float], stress: bool) -> tuple[list[str], list[float]]:
    """Return phones with silence called `SILENCE` and silences in a row made one; without ``stress``, no digits."""
    names, lasting = list[str](), list[float]()
    for phone, length in zip(phones, seconds, strict=True):
        name = SILENCE if phone in SILENT else phone if stress else phone.rstrip("012")
        if names and name == names[-1] == SILENCE:
            lasting[-1] += length
        else:
            names.append(name)
            lasting.append(length)
    return names, lasting
