"""What the tests of memory are made of: generated sequences, and two sets of handwritten digits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lstmlab.data import Dataset, Download, File
from lstmlab.registry import dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    Draw = Callable[[int, int, np.random.Generator], tuple[np.ndarray, np.ndarray]]
    Split = tuple[np.ndarray, np.ndarray]  # images (count, side, side) of bytes or grey levels, and their digits

RECALLED = 10  # symbols to be repeated in the copying problem
CONVNET = "https://raw.githubusercontent.com/karpathy/convnetjs/b0d19208e1a7a578fd3988b0829109d5f8720ec4/demo/mnist/mnist_batch_"
TCN = (
    "https://raw.githubusercontent.com/locuslab/TCN/2f8c2b817050206397458dfd1f5a25ce8a32fe65/"
    "TCN/mnist_pixel/data/mnist/raw/"
)

BATCHES = (  # SHA-256 and size of each PNG of 3,000 images
    ("54d39dfaf0057158346bcabe733a4a93a8a02595adf2496abe8123c7eed85457", 495297),
    ("de5ff3ee0fb8052d80c8124a61dbd9896a10cec11237ceae61cd4d8053288bb0", 498109),
    ("14578a89cd497e00403c345c7b6523995f84f7a30561de28b238483364f6c1cd", 491559),
    ("2d6161d591840118584158b98df72203b16373a92602a1597d837333181de55b", 491048),
    ("cd84689bd8dfc3737b821097fc604d3b7e8bc125d3cd6a3bb30a7507ef4d7ce5", 495116),
    ("abf32f587873280bb38c1593d4555b74eac743156569a2e380effd944732102c", 492209),
    ("20ae1fc9d7381ae9f3f8e93e6f717a829b9c5f2648ab90d859359c34f6df370b", 491444),
    ("b601118422f7c8cbea0a8daf008b10bbe10c17a3e3162d69db7068bd0f81aadb", 496313),
    ("b4f82b66b9f155c7ee00e1265ad3f6d6fa10dcf48134f5b7ec650a719e0c07b9", 482615),
    ("3578cf8893f90d94909250faa124d26df2a015a936bf38e93c8294ea262c74f4", 492964),
    ("0e115b0b2618bd472aec7aca32a0614ff6804a00c91414ca1ab8926bec1d9d82", 492631),
    ("47b3c7da91a1a6f6d2be559b7b34144a2b7098dc6e131432b0bed4607f95e5cb", 493716),
    ("708bb164b1a0fb3ab07ebc57e63ba324af3f311d57f0849a1e105f4ae90f11ad", 497610),
    ("708bffa630556b78d1954b66198bbb706afefce7c96268970b67c69c1a71968e", 490679),
    ("1dae86b58155d10c39c9a1103851cc3e830ae4f1d6d8d436dcc8aea24f99eff8", 495981),
    ("f4e1ba671eaa6cde349d21be84b53967aba199e51dc43358b4ee0defb62a4018", 497969),
    ("1a6e9e424fab5c1ab0f6df455e8dbda94a132db99a199f27c576babc15b21317", 493644),
    ("bc37aca4047ce38258e1cce2357d0267dd2bdce930743dd111ee9944081b5cd4", 497062),
    ("c1a0167b5a8489408ec955a5c3b82f8b9238174ba63006758bd1d8352dac2b98", 488368),
    ("dcc5166de8a1155640ea4afd5bd4cfef547608d3dea82aeade74bc5e03927dcd", 500873),
    ("169e1c88c3eeb0393d97294805f9f271ab7c3cf49301fc5168c3129c900c1cd9", 482842),
)
LABELS = (
    ("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", 60008),
    ("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", 10008),
)


class Generated(Dataset):
    """Sequences that are drawn, not measured."""

    kind = "generated"
    licence = "none needed: generated from a seed"
    source = "plugins/memory/data.py"
    size = "drawn anew for every epoch"
    draw: ClassVar[Draw]

    def load(self) -> Draw:
        """Return a function of (count, length, random) that draws inputs and targets."""
        return type(self).draw

    def content(self) -> bytes:
        """Return a sample's bytes: they change when the way of drawing does."""
        import numpy as np

        inputs, targets = self.load()(4, 20, np.random.default_rng(0))
        return inputs.tobytes() + targets.tobytes()


@dataset("adding")
class Adding(Generated):
    """The adding problem: remember two marked numbers of a long sequence (generated)."""

    title = "Adding problem (generated)"
    tasks = ("adding",)
    citation = (
        "Hochreiter, S. and Schmidhuber, J. (1997), Long Short-Term Memory, Neural Computation 9(8), "
        "experiment 4; values in [0, 1] as in Le, Jaitly and Hinton (2015), arXiv:1504.00941"
    )

    @staticmethod
    def draw(count: int, length: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return sequences (count, length, 2) of value and marker, and their targets (count,).

        One step of each half is marked; the target is the sum of the two marked values. Always
        answering 1 gives a mean squared error of 1/6.
        """
        import numpy as np

        values = random.random((count, length), dtype=np.float32)
        marks = np.zeros_like(values)
        rows = np.arange(count)
        first = random.integers(0, length // 2, count)
        second = random.integers(length // 2, length, count)
        marks[rows, first] = marks[rows, second] = 1
        return np.stack([values, marks], axis=2), values[rows, first] + values[rows, second]


@dataset("copying")
class Copying(Generated):
    """The copying problem: repeat ten symbols after a pause (generated)."""

    title = "Copying problem (generated)"
    tasks = ("copying",)
    citation = (
        "Hochreiter, S. and Schmidhuber, J. (1997), as posed by Arjovsky, Shah and Bengio (2016), Unitary "
        "Evolution Recurrent Neural Networks, arXiv:1511.06464"
    )

    @staticmethod
    def draw(count: int, length: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return symbols (count, length + 20) and targets: the first ten symbols at the last ten steps, -1 before.

        Symbols 0 to 7 are to be repeated; 8 is blank; 9 says that it is time to repeat.
        """
        import numpy as np

        inputs = np.full((count, length + 2 * RECALLED), 8)
        inputs[:, :RECALLED] = random.integers(0, 8, (count, RECALLED))
        inputs[:, -RECALLED - 1] = 9
        targets = np.full_like(inputs, -1)
        targets[:, -RECALLED:] = inputs[:, :RECALLED]
        return inputs, targets


@dataset("temporal_order")
class TemporalOrder(Generated):
    """Two symbols X or Y, far apart among others: in which order did they come (generated)."""

    title = "Temporal order problem (generated)"
    tasks = ("temporal_order",)
    citation = (
        "Hochreiter, S. and Schmidhuber, J. (1997), Long Short-Term Memory, Neural Computation 9(8), "
        "experiment 6a; all sequences of one length"
    )

    @staticmethod
    def draw(count: int, length: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return one-hot sequences (count, length, 8) of a, b, c, d, X, Y, begin, end, and classes XX, XY, YX, YY.

        The first lies between a tenth and a fifth of the length, the second in the tenth after its middle.
        """
        import numpy as np

        symbols = random.integers(0, 4, (count, length))
        symbols[:, 0], symbols[:, -1] = 6, 7
        rows, tenth = np.arange(count), max(length // 10, 1)
        first, second = random.integers(0, 2, (2, count))
        symbols[rows, random.integers(tenth, 2 * tenth, count)] = 4 + first
        symbols[rows, random.integers(5 * tenth, 6 * tenth, count)] = 4 + second
        return np.eye(8, dtype=np.float32)[symbols], 2 * first + second


@dataset("parity")
class Parity(Generated):
    """Bits: is the number of ones so far odd (generated)."""

    title = "Running parity (generated)"
    tasks = ("parity",)
    citation = "the parity problem of Minsky and Papert (1969), Perceptrons, as a sequence with an answer at each step"

    @staticmethod
    def draw(count: int, length: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return bits (count, length), and at each step the parity of those up to it."""
        bits = random.integers(0, 2, (count, length))
        return bits, bits.cumsum(1) % 2


@dataset("digits")
class SmallDigits(Dataset):
    """1,797 handwritten digits of 8 by 8 pixels, from scikit-learn."""

    title = "Optical recognition of handwritten digits, 8 by 8 pixels"
    kind = "embedded"
    tasks = ("digits",)
    size = "1,797 images"
    licence = "CC BY 4.0 (UCI Machine Learning Repository, dataset 80)"
    source = "sklearn.datasets.load_digits"
    citation = "Alpaydin, E. and Kaynak, C. (1998), Optical Recognition of Handwritten Digits, doi:10.24432/C50P49"

    def load(self) -> dict[str, Split]:
        """Return images with grey levels from 0 to 1 and their digits; a fifth each is validation and test."""
        import numpy as np
        from sklearn.datasets import load_digits

        found = load_digits()
        order = np.random.default_rng(0).permutation(len(found.images))  # no official split; ours never changes
        images, labels = found.images[order].astype(np.float32) / 16, found.target[order]
        fifth = len(images) // 5
        parts = {"test": slice(fifth), "validation": slice(fifth, 2 * fifth), "train": slice(2 * fifth, None)}
        return {split: (images[part], labels[part]) for split, part in parts.items()}

    def content(self) -> bytes:
        """Return all images and digits."""
        return b"".join(array.tobytes() for split in self.load().values() for array in split)


@dataset("mnist")
class MNIST(Download):
    """MNIST: 60,000 handwritten digits to train on, and 3,000 of its 10,000 test images."""

    title = "MNIST handwritten digits, 28 by 28 pixels, as PNG batches"
    tasks = ("digits",)
    size = "55,000 + 5,000 + 3,000 images"
    licence = "CC BY-SA 3.0 (customary; LeCun, Cortes, Burges); PNG batches from convnetjs, MIT"
    source = "https://github.com/karpathy/convnetjs"
    citation = "LeCun, Y., Bottou, L., Bengio, Y. and Haffner, P. (1998), Proc. IEEE 86(11), 2278-2324"
    files = (
        *(File(f"mnist_batch_{n:02}.png", sha, size, (f"{CONVNET}{n}.png",)) for n, (sha, size) in enumerate(BATCHES)),
        *(File(name, sha, size, (TCN + name,)) for name, sha, size in LABELS),
    )

    def load(self) -> dict[str, Split]:
        """Return images as bytes and their digits; the last 5,000 of the official train set are validation."""
        import numpy as np
        from PIL import Image

        batches = [np.asarray(Image.open(self.path(f"mnist_batch_{n:02}.png"))) for n in range(21)]
        images = np.concatenate(batches).reshape(-1, 28, 28)
        train, test = (self._labels(f"{part}-labels-idx1-ubyte") for part in ("train", "t10k"))
        parts = {"train": slice(55000), "validation": slice(55000, 60000), "test": slice(60000, 63000)}
        labels = np.concatenate([train, test[:3000]])
        return {split: (images[part], labels[part]) for split, part in parts.items()}

    def _labels(self, name: str) -> np.ndarray:
        import numpy as np

        return np.fromfile(self.path(name), dtype=np.uint8)[8:]  # after two numbers: the kind of file, and how many
