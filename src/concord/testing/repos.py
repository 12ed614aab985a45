"""Repos for tests to look at: one that has everything, many files, one that attacks, a private one, odd ones; and communities of
them. All of it is made up, and says so."""

import json
import struct
import zlib
from hashlib import sha256
from math import prod

from msgspec import to_builtins

from concord.ledger.record import Record
from concord.node import Node
from concord.pillars.commons import Card, Changes, Commit, Community, File, Open, Repo, RepoId
from concord.pillars.commons import tree as trees
from concord.pillars.commons.card import card
from concord.shelf import Draft, Shelf, communities
from concord.testing.nodes import everything

ATTACK = "<script>document.title='hacked'</script>"
VECTORS = (
    ATTACK,
    "<img src=x onerror=document.title='hacked'>",
    "[a](javascript:document.title='hacked')",
    "[a](JaVaScRiPt:document.title='hacked')",
    "[a](java&#x09;script:alert)",
    "[a](&#106;avascript:alert)",
    "[a](\x01javascript:alert)",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "[a](vbscript:x)",
    "[a](file:///etc/passwd)",
    "[a](//evil.example/x)",
    "[a](/\\evil.example)",
    "[a](\\\\evil.example)",
    "[a](blob:https://evil.example/x)",
    "[a](https:evil)",
    "[a](https://)",
    '[a](<https://evil.example/" onclick="x>)',
    '[a](https://evil.example "t" onmouseover="x")',
    "![a](javascript:x)",
    "![a](https://evil.example/track.png)",
    '![a" onerror="x](picture.png)',
    "![a](data:image/svg+xml;base64,PHN2Zz4=)",
    "![a](picture.svg)",
    "[![badge](https://evil.example/b.svg)](https://evil.example/in-a-link)",
    '<https://evil.example/"onclick=x>',
    "<javascript:alert>",
    "[x]: javascript:alert\n\n[x]",
    "[x]: <data:text/html,x> 'title'\n\n[x][x]",
    "<a href=javascript:alert>x</a>",
    "<svg><script>x</script></svg>",
    "<!-- --><b>",
    "<!--><img src=x onerror=x>-->",
    "<![CDATA[<script>]]>",
    "<?php x ?>",
    "<style>body{display:none}</style>",
    "<iframe src=//evil.example>",
    '```"><script>\n</code></pre><script>x</script>\n```',
    "`</code><script>x</script>`",
    "| <script> | b |\n|---|---|\n| </td><script> | `|` |",
    "# </h1><script>x</script>",
    "&lt;script&gt;x&lt;/script&gt;",
    "[a](../../../etc/passwd)",
    "[a](%2e%2e/%2e%2e/secret)",
    "[a](?revision=x&y=<script>)",
    "[a](#main)",
    "[\u202egnp.exe](https://evil.example)",
    "a\u202e\u200b" + "\u0317" * 40,
)
HOSTILE_PATHS = (
    "<img src=x onerror=alert(1)>.txt",
    "\"'&<b>.md",
    "a b%20c?d#e;f.txt",
    "-rf",
    "数据/模型 卡.txt",
    "مجلد/ملف.txt",
    "x.html",
    "x.svg",
)
README = """---
license: apache-2.0
language: [sw, en, fr]
tags: [speech, 语音识别, example]
pipeline_tag: automatic-speech-recognition
library_name: transformers
base_model: br/hostile
datasets:
- id/corpus
- elsewhere/unknown
pretty_name: Speech recognition for Sheng and Swahili (an example)
---
# Sheng speech
<!-- what a template says here is not for readers -->
A made-up model for **demonstrations**. It hears *Sheng* and Swahili; its weights are zeros. See the [data card](docs/DATA_CARD.md),
the [training script](train.py), [what it is for](#use) and [another site](https://example.org/paper).

![The two languages](picture.png)

![A badge from elsewhere](https://badges.example/b.svg)

## Use
1. Fetch it.
2. Load it:

```python
model = AutoModel.from_pretrained("ke/sheng-speech")
```

> Nothing here was trained.

| test | words | error |
|---|---:|---:|
| read aloud | 4,000 | 0.12 |
| telephone | 2,500 | 0.31 |
"""
NOTEBOOK = json.dumps({"cells": [{"cell_type": "markdown", "source": ["# A walk"], "metadata": {}},
                                 {"cell_type": "code", "source": ["x = 1\n", ATTACK], "outputs": [{"text": "not shown"}]}],
                       "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()  # fmt: skip
_SOUND = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8) + struct.pack("<4sI", b"data", 800) + b"\x80" * 800
WAV = b"RIFF" + struct.pack("<I4s", 4 + len(_SOUND), b"WAVE") + _SOUND
TRAIN = "\n".join(["import torch", "", "", "def train(steps: int) -> None:", *(f"    step_{n} = {n}" for n in range(60)), ""])


def share(node: Node, ke: str, br: str, id_: str) -> None:
    """Let three members share."""
    shelf = Shelf(node)
    _model(shelf, ke, br)
    _dataset(shelf, id_)
    _hostile(shelf, br)
    private = shelf.open(everything(ke), "model", "secret", private=True)
    put(shelf, ke, private, {"README.md": b"---\nlicense: mit\n---\n# A secret of ours\n"}, "Begin")
    shelf.open(everything(ke), "space", "nothing-yet", private=False)
    gated = shelf.open(everything(id_), "model", "gated", private=False)
    put(shelf, id_, gated, {"README.md": b"# Ask first\n", "weights.bin": b"\0" * 64}, "Begin")
    shelf.configure(everything(id_), gated, "manual")
    _communities(shelf, ke, br, id_)
    absent = File(path="README.md", size=5, sha256=sha256(b"gone").hexdigest())
    elsewhere = shelf.open(everything(id_), "model", "elsewhere", private=False)
    shelf.commit(everything(id_), elsewhere, Draft("main", "Not here", put=[absent]))


def put(
    shelf: Shelf, origin: str, repo: Repo, contents: dict[str, bytes], title: str, ref: str = "main", message: str = ""
) -> None:
    """Commit files of these contents."""
    files = [shelf.keep(repo, path, content) for path, content in contents.items()]
    said = card(contents["README.md"]) if "README.md" in contents else None
    shelf.commit(everything(origin), shelf.find(repo.id, everything(origin)), Draft(ref, title, message, put=files, card=said))


def safetensors(shapes: dict[str, list[int]]) -> bytes:
    """A file of zeros with tensors of these shapes."""
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 4
        for side in shape:
            size *= side
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    raw = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    return len(raw).to_bytes(8, "little") + raw + bytes(at)


def png(side: int = 48) -> bytes:
    """A picture."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = b"".join(
        b"\0" + bytes((8 * x % 256, 96, 8 * y % 256)[channel] for x in range(4 * side) for channel in range(3)) for y in range(side)
    )
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 4 * side, side, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def _model(shelf: Shelf, ke: str, br: str) -> None:
    repo = shelf.open(everything(ke), "model", "sheng-speech", private=False)
    weights = safetensors({f"encoder.{n}.weight": [64, 32] for n in range(6)} | {"head.bias": [32]})
    put(shelf, ke, repo, {"README.md": README.encode(), "model.safetensors": weights, "config.json": b'{"model_type": "example"}\n',
                          "train.py": TRAIN.encode(), "evaluate.py": b"print('0.12')\n", "docs/DATA_CARD.md": b"# The data\n",
                          "LICENSE": b"Apache License 2.0 (example)\n", "picture.png": png()}, "The first version")  # fmt: skip
    first = shelf.find(repo.id, None).find("main")
    shelf.point(everything(ke), repo, "tag", "v1", first, "the first")
    put(shelf, ke, repo, {"train.py": TRAIN.replace("step_7 = 7", "step_7 = 8").encode(), "results/eval.json": b'{"wer": 0.12}\n'},
        "Train a little longer", message="The seventh step was too short.\n\nNothing else changed.")  # fmt: skip
    thread = shelf.discuss(
        everything(br), repo, "What of code-switching?", "Does it hear *both*? See [the script](train.py).", pull=False
    )
    shelf.answer(everything(ke), repo, thread, "It does. " + ATTACK)
    shelf.settle(everything(ke), repo, thread, "closed", "", "Answered.")
    pull = shelf.discuss(everything(br), repo, "Say what the results mean", "Two lines more.", pull=True)
    put(shelf, br, repo, {"results/README.txt": b"Errors per word.\n"}, "Explain the results", ref=pull.ref)
    shelf.like(everything(br), repo, liked=True)


def _dataset(shelf: Shelf, id_: str) -> None:
    repo = shelf.open(everything(id_), "dataset", "corpus", private=False)
    front = (
        "---\nlicense: cc-by-4.0\nlanguage: [id, zh]\npretty_name: 演示语料库\ntags: [text]\n---\n# A corpus (example)\n".encode()
    )
    parts = {f"data/part-{number:04}.txt": f"{number}\n".encode() for number in range(180)}
    put(shelf, id_, repo, {"README.md": front, "rows.csv": b"a,b\n1,2\n", **parts}, "All parts")
    odd = {
        "rows.tsv": f"word\t{ATTACK}\nكلمة\t2\n".encode(),
        "rows.jsonl": '{"a": 1}\n{"b": "词", "c": [2]}\n'.encode(),
        "broken.csv": b'a,b\n"1,2\n',
        "walk.ipynb": NOTEBOOK,
        "tone.wav": WAV,
        "not.parquet": b"PAR1" + b"\xff" * 40 + b"PAR1",
        "paper.pdf": b"%PDF-1.7\n\xff\xfe\n",
    }
    put(shelf, id_, repo, {f"odd/{name}": content for name, content in odd.items()}, "Odd files")


def _communities(shelf: Shelf, ke: str, br: str, id_: str) -> None:
    """One across three members, and one that attacks, and names what is private and what never was."""
    coast = [RepoId(owner=ke, kind="model", name="sheng-speech"), RepoId(owner=id_, kind="dataset", name="corpus"),
             RepoId(owner=ke, kind="space", name="nothing-yet")]  # fmt: skip
    about = "Speech and text of the **coast** (an example).\n\n- small enough for a telephone\n- under open licences\n"
    communities.gather(shelf, everything(br), "coast", "Words of the coast", "A beginning.", coast[:1])
    communities.gather(shelf, everything(br), "coast", "Words of the coast", about, coast)
    named = [RepoId(owner=ke, kind="model", name=name) for name in ("secret", "never0", "sheng-speech")]
    fields = {
        "name": "odd",
        "title": f"A title {ATTACK}",
        "about": "\n\n".join(VECTORS).replace("\x01", ""),
        "repos": to_builtins(named),
    }
    shelf.node.say(everything(br), Community, {**fields, "person": "tester"})


def _hostile(shelf: Shelf, br: str) -> None:
    repo = shelf.open(everything(br), "model", "hostile", private=False)
    front = f'---\nlicense: "<b>mit"\ntags: ["{ATTACK}", "{{{{7*7}}}}"]\npretty_name: "{ATTACK} %(x)s"\n'
    front += 'base_model: ke/secret\nlibrary_name: "<i>"\n---\n'
    contents = {path: f"{path}\n{ATTACK}\n\u202e{{{{7*7}}}}\n".encode() for path in HOSTILE_PATHS}
    contents["README.md"] = (front + "\n\n".join(VECTORS)).encode()
    contents["model.safetensors"] = b"\xff" * 64
    contents["nul.txt"] = b"a\0b"
    contents["picture.png"] = b"\x89PNG\r\n\x1a\n<script>"
    contents["long.txt"] = b"&" * 100_000
    put(shelf, br, repo, contents, f"A title {ATTACK}", message=f"{ATTACK}\n\u202e")
    thread = shelf.discuss(everything(br), repo, f"A title {ATTACK}", "\n\n".join(VECTORS).replace("\x01", ""), pull=False)
    for _ in range(4):
        shelf.answer(everything(br), repo, thread, "&" * 9_000)


def many(shelf: Shelf, origin: str, count: int) -> None:
    """So many models, each with a card and weights that nobody has: their sizes, languages, tasks and licences differ."""
    speaker, node = everything(origin), shelf.node
    languages, tasks = ("sw", "zh", "ar", "ru", "fr", "es", "id", "am"), ("text-generation", "translation", "summarization")
    said: list[Record] = []
    for number in range(count):
        repo = RepoId(owner=origin, kind="model", name=f"words-{number:05}")
        readme = File(path="README.md", size=200, sha256=sha256(b"readme").hexdigest(), oid="ab" * 20)
        weights = File(path="model.safetensors", size=10 ** (6 + number % 6), sha256=sha256(b"%d" % number).hexdigest())
        known = Card(license=("apache-2.0", "mit", "cc-by-4.0")[number % 3], languages=(languages[number % 8], "en"),
                     tags=("speech", "语音识别", f"t{number % 40}"), task=tasks[number % 3], library="transformers",
                     title=f"Words number {number} (an example)")  # fmt: skip
        fields = {"repo": to_builtins(repo), "ref": "main", "tree": trees.digest({file.path: file for file in (readme, weights)}),
                  "title": "Begin", "changes": to_builtins(Changes(put=(readme, weights))), "card": to_builtins(known)}  # fmt: skip
        said.append(node.compose(speaker, Open, {"kind": "model", "name": repo.name}))
        said.append(node.compose(speaker, Commit, fields))
    for start in range(0, len(said), 500):
        node.say_composed(speaker, said[start : start + 500])


def gguf(shapes: dict[str, list[int]], kind: int = 0, *pairs: bytes, version: int = 3, order: str = "<") -> bytes:
    """A GGUF of zeros with tensors of these shapes, all of the type `kind` (0: F32), and these `pairs`."""
    tensors, at = b"", 0
    for name, shape in shapes.items():
        tensors += gguf_text(name, order) + struct.pack(f"{order}I{len(shape)}QIQ", len(shape), *shape, kind, at)
        at += 4 * prod(shape)
    return b"GGUF" + struct.pack(f"{order}IQQ", version, len(shapes), len(pairs)) + b"".join(pairs) + tensors + bytes(at)


def gguf_pair(key: str, value: str | int, order: str = "<") -> bytes:
    """A pair of a GGUF: a text, or a number of 32 bits."""
    if isinstance(value, str):
        return gguf_text(key, order) + struct.pack(f"{order}I", 8) + gguf_text(value, order)
    return gguf_text(key, order) + struct.pack(f"{order}II", 4, value)


def gguf_text(value: str, order: str = "<") -> bytes:
    """A text as a GGUF has it."""
    return struct.pack(f"{order}Q", len(value.encode())) + value.encode()
