"""A general compressor as a model of text: a baseline that knows nothing of language."""

from __future__ import annotations

import lzma
from math import log


def compressed_nats(train: str, text: str) -> float:
    """Return the nats for each character of ``text`` that LZMA writes more for both texts than for ``train`` alone."""
    size = 1 << max(20, len((train + text).encode()).bit_length())  # the train part stays in sight
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": size}]
    both, alone = (len(lzma.compress(t.encode(), lzma.FORMAT_RAW, filters=filters)) for t in (train + text, train))
    return (both - alone) * 8 * log(2) / len(text)
