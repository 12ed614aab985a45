"""Cosignatures (C2SP tlog-cosignature v1.0.1, Ed25519): another's word that a log only grew.

A cosignature says: as of this time, this is the largest consistent tree of this origin that I have seen. It is a note
signature whose bytes are a time (uint64, big-endian POSIX seconds) and an Ed25519 signature over two lines and the whole
text of the checkpoint:

    cosignature/v1
    time 1679315147
    example.com/behind-the-sofa
    …

ML-DSA-44 cosignatures are not made or read here: 3,272 bytes a line against 132 are too many for a poor line.

>>> from concord.tlog.note import Note, verify
>>> text = "example.com/log\\n0\\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\\n"
>>> line = cosign(text, "witness.example", bytes(32), 1679315147)
>>> verify(Note(text, (line,)), [verifier_key("witness.example", bytes(32))])[0].time
1679315147
"""

from concord.tlog import ed25519
from concord.tlog.note import COSIGNATURE, Signature, VerifierKey, cosigned_message


def verifier_key(name: str, seed: bytes) -> VerifierKey:
    """The public side of the witness key of `seed`."""
    return VerifierKey(name, COSIGNATURE, ed25519.public_key(seed))


def cosign(text: str, name: str, seed: bytes, time: int) -> Signature:
    """The cosignature line of `name` on a checkpoint's text at `time` (POSIX seconds)."""
    raw = ed25519.sign(seed, cosigned_message(text, time))
    return Signature(name, verifier_key(name, seed).id, time.to_bytes(8, "big") + raw)
