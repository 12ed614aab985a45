"""commons export: a revision in the formats of others, and signatures that the tool of OpenSSF verifies."""

import json
import stat
import subprocess
from pathlib import Path

import pytest

from concord.home import open_home
from concord.ledger.identity import label
from concord.ledger.pillar import PERSONAL_ROLES
from concord.private.people import Speaker
from concord.reading import deposited
from concord.shelf import Shelf
from concord.testing.processes import copy_home
from concord.testing.repos import png, put
from concord.testing.terminal import run

TOOL = Path(__file__).parents[2] / ".venv/clients/exports/bin/model_signing"
CONTENTS = {
    "README.md": b"---\nlicense: apache-2.0\ndatasets: x/y\n---\n# Words\n",
    "model.bin": bytes(300),
    "a b/\xe9.png".encode().decode(): png(),
    "a-b": b"1",
    "a/b": b"2",
    ".gitattributes": b"*.bin filter=lfs\n",
}


@pytest.fixture
def home(founded: Path, tmp_path: Path) -> Path:
    """A home with a model, a dataset and a private model of its first member."""
    home = copy_home(founded, tmp_path / "home")
    node = open_home(home)
    node.catch_up()
    speaker = Speaker("admin", "Local administrator", node.holdings.hosted()[0], frozenset(PERSONAL_ROLES))
    shelf = Shelf(node)
    for name, kind, private in (("words", "model", False), ("rows", "dataset", False), ("secret", "model", True)):
        repo = shelf.open(speaker, kind, name, private=private)  # type: ignore[arg-type]
        put(shelf, speaker.origin, repo, CONTENTS | ({"rows.csv": b"a,b\n1,2\n"} if kind == "dataset" else {}), "Begin")
    return home


def member(home: Path) -> str:
    return label(open_home(home).holdings.hosted()[0])


def test_a_bill_and_a_description_are_printed_or_written(home: Path, tmp_path: Path) -> None:
    printed = json.loads(run("commons", "export", f"{member(home)}/words", home=home).out)
    assert (printed["bomFormat"], printed["specVersion"]) == ("CycloneDX", "1.6")
    out = tmp_path / "croissant.json"
    done = run("commons", "export", f"datasets/{member(home)}/rows", "--format", "croissant", "-o", out, "--json", home=home)
    assert done.json() | {"revision": ""} == {"file": str(out), "format": "croissant", "revision": ""}
    assert [each["name"] for each in json.loads(out.read_bytes())["recordSet"]] == ["rows"]
    assert (
        json.loads(run("commons", "export", f"{member(home)}/secret", home=home).out)["metadata"]["component"]["name"] == "secret"
    )


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("{}/nothing",), "there is no model"), (("x/",), "is no repo"),
        (("{}/words", "--format", "spdx"), "there is no format"), (("{}/words", "--revision", "v9"), "no revision"),
        (("{}/words", "--format", "croissant"), "Croissant describes datasets"),
        (("{}/secret", "--format", "model-signing", "--publish"), "is private"),
    ],
)  # fmt: skip
def test_what_cannot_be_exported_is_told(home: Path, words: tuple[str, ...], wrong: str) -> None:
    done = run("commons", "export", words[0].format(member(home)), *words[1:], home=home)
    assert done.status == 1 and wrong in done.err and done.err.count("\n") == 1


def test_the_key_is_made_once_and_its_public_half_stands_in_the_log(home: Path) -> None:
    first = run("commons", "export", f"{member(home)}/words", "--format", "model-signing", "--publish", home=home).out
    again = run("commons", "export", f"{member(home)}/words", "--format", "model-signing", "--publish", home=home).out
    assert first == again, "nothing in it is random"
    node = open_home(home)
    node.catch_up()
    named = sorted(row["name"] for row in deposited(node) if "model-signing" in row["name"])
    assert len(named) == 2 and named[0] == "model-signing-key.pem" and named[1].startswith("words-")
    private = home / "keys" / f"{member(home)}.model-signing.pem"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert b"PRIVATE" not in b"".join(node.blobs.get(next(row["blob"] for row in deposited(node) if row["name"].endswith(".pem"))))


@pytest.mark.parametrize("spoil", ["open to others", "no key", "of another curve"])
def test_a_key_that_is_not_right_signs_nothing(home: Path, spoil: str) -> None:
    export = ("commons", "export", f"{member(home)}/words", "--format", "model-signing")
    assert run(*export, home=home).status == 0
    private = home / "keys" / f"{member(home)}.model-signing.pem"
    if spoil == "open to others":
        private.chmod(0o644)
    elif spoil == "no key":
        private.write_bytes(b"nothing")
    else:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat  # noqa: PLC0415

        made = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        private.write_bytes(made)
    done = run(*export, home=home)
    assert done.status == 1 and str(private) in done.err


@pytest.mark.skipif(not TOOL.exists(), reason="model-signing is not prepared: say `make clients`")
def test_the_tool_of_openssf_verifies_what_was_downloaded_and_nothing_else(home: Path, tmp_path: Path) -> None:
    folder, bundle, key = tmp_path / "words", tmp_path / "model.sig", tmp_path / "key.pem"
    for path, content in CONTENTS.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / ".cache/huggingface").mkdir(parents=True)
    (folder / ".cache/huggingface/x").write_bytes(b"what a client leaves there")
    told = run("commons", "export", f"{member(home)}/words", "--format", "model-signing", "-o", bundle, home=home).out
    assert run("blob", "get", told.partition("blob get ")[2].split()[0], "-o", key, home=home).status == 0
    verify = [TOOL, "verify", "key", folder, "--signature", bundle, "--public_key", key]

    def verified() -> bool:
        return subprocess.run(verify, capture_output=True, timeout=120, check=False).returncode == 0

    assert verified()
    (folder / "model.bin").write_bytes(bytes(299) + b"\1")
    assert not verified(), "a byte was changed"
    (folder / "model.bin").write_bytes(bytes(300))
    (folder / "more.txt").write_bytes(b"x")
    assert not verified(), "a file was added"
