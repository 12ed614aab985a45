"""Which files are kept as large files: those that .gitattributes names, those over 10 MB, and those that are not text.

>>> patterns = large_patterns(ATTRIBUTES)
>>> is_large("weights/model.safetensors", 10, b"", patterns), is_large("config.json", 10, b"{}", patterns)
(True, False)
>>> is_large("notes.txt", 4, b"a\\0b", patterns), is_large("empty.bin", 0, b"", patterns)
(True, False)
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase

NAME = ".gitattributes"
REGULAR_MAX = 10 * 1024 * 1024  # bytes of a file that is kept whole, by the Hub's rule
SAMPLE = 512  # bytes of a file by which its kind is told
PATTERNS_MAX = 1000

_ENDINGS = """
7z arrow bin bz2 ckpt ftz gguf gz h5 joblib lfs.* mlmodel model msgpack npy npz onnx ot parquet pb pickle pkl pt pth rar safetensors
tar tflite tgz wasm xz zip zst jpg jpeg png webp gif bmp tiff pdf mp3 mp4 wav flac ogg webm
"""
ATTRIBUTES = "".join(f"*.{ending} filter=lfs diff=lfs merge=lfs -text\n" for ending in _ENDINGS.split()).encode()


def large_patterns(attributes: bytes) -> list[str]:
    """The patterns of a .gitattributes file whose files are kept as large files."""
    lines = [line.split() for line in attributes.decode(errors="replace").splitlines()[:PATTERNS_MAX]]
    return [words[0] for words in lines if words and not words[0].startswith("#") and "filter=lfs" in words]


def is_large(path: str, size: int, sample: bytes, patterns: Sequence[str]) -> bool:
    """Whether a file that begins with `sample` is kept as a large file."""
    if size == 0:
        return False
    return size > REGULAR_MAX or is_binary(sample, size) or any(_names(pattern, path) for pattern in patterns)


def is_binary(sample: bytes, size: int) -> bool:
    """Whether the first bytes of a file of `size` bytes are not text. A character that is cut at the end counts as one."""
    sample = sample[:SAMPLE]
    if b"\0" in sample:
        return True
    for cut in range(4 if size > len(sample) else 1):
        try:
            sample[: len(sample) - cut].decode()
        except UnicodeDecodeError:
            continue
        return False
    return True


def _names(pattern: str, path: str) -> bool:
    """Whether a pattern of git means a path: one without a slash means the last part."""
    if "/" not in pattern:
        return fnmatchcase(path.rpartition("/")[2], pattern)
    return fnmatchcase(path, pattern.lstrip("/"))
