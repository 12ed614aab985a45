"""How a repo is used with each client: what to copy, made for this repo, this revision and this node.

Which ways there are follows from what the repo is: its kind, the library and task that its card names (if we know them), its
files. The names in it are strangers', and what is copied is run. So each is quoted for the language that it stands in.

>>> [way.title for way in ways(Subject("https://node.example", "ke/words", "dataset", "ab" * 20, ("data/a.csv",)))]
['hf', 'datasets', 'pandas', 'huggingface_hub', 'curl', 'git', 'concord']
>>> print(ways(Subject("https://node.example", "ke/words", "dataset", "main", ("a b.csv",)))[2].code.splitlines()[-1])
rows = pd.read_csv("hf://datasets/ke/words@main/a b.csv")
"""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from concord.pillars.commons.records import PREFIXES, Kind

READERS = {"csv": "read_csv", "tsv": "read_csv", "parquet": "read_parquet", "jsonl": "read_json"}
TASKS = frozenset(
    (
        *("automatic-speech-recognition", "audio-classification", "text-to-speech", "image-classification", "object-detection"),
        *("text-generation", "text-classification", "token-classification", "question-answering", "fill-mask", "summarization"),
        *(
            "translation",
            "feature-extraction",
            "zero-shot-classification",
            "image-to-text",
            "image-segmentation",
            "depth-estimation",
        ),
    )
)  # what transformers.pipeline takes


@dataclass(frozen=True)
class Subject:
    """What is used: where it is, its name for clients, its kind, the commit, its files by path, and what its card says of it."""

    address: str
    name: str
    kind: Kind
    revision: str
    paths: tuple[str, ...] = ()
    library: str = ""
    task: str = ""

    def first(self, *endings: str) -> str | None:
        """The first file that ends so."""
        return next((path for path in self.paths if path.lower().endswith(endings)), None)


@dataclass(frozen=True)
class Way:
    """One way: the client's name, and what to copy."""

    title: str
    code: str


def ways(of: Subject) -> list[Way]:
    """All ways to use it, those that fit it best first."""
    return [*_shell(of), *_by_library(of), *_tables(of), *_anything(of)]


def _shell(of: Subject) -> Iterator[Way]:
    yield Way(
        "hf", f"export HF_ENDPOINT={shlex.quote(of.address)}\nhf download {of.name}{_type(of)} \\\n  --revision \\\n  {of.revision}"
    )


def _by_library(of: Subject) -> Iterator[Way]:
    named, at = json.dumps(of.name), f'revision="{of.revision}"'
    gguf = of.first(".gguf")
    if gguf is not None:
        yield Way("llama.cpp", f'llama-cli -m "$(hf download {of.name} {shlex.quote(gguf)})"')
    match of.kind, of.library:
        case "dataset", _:
            yield Way("datasets", f"from datasets import load_dataset\n\nrows = load_dataset(\n    {named},\n    {at},\n)")
        case "model", "diffusers":
            yield Way("diffusers", _loads("diffusers", "DiffusionPipeline", named, at))
        case "model", "sentence-transformers":
            code = (
                f"from sentence_transformers import SentenceTransformer\n\nmodel = SentenceTransformer(\n    {named},\n    {at},\n)"
            )
            yield Way("sentence-transformers", code)
        case "model", "transformers" if of.task in TASKS:
            code = f'from transformers import pipeline\n\nrun = pipeline(\n    "{of.task}",\n    model={named},\n    {at},\n)'
            yield Way("transformers", code)
        case "model", "transformers":
            yield Way("transformers", _loads("transformers", "AutoModel", named, at))


def _tables(of: Subject) -> Iterator[Way]:
    path = of.first(*(f".{ending}" for ending in READERS))
    if path is None:
        return
    ending = path.rpartition(".")[2].lower()
    address = json.dumps(f"hf://{PREFIXES[of.kind]}{of.name}@{of.revision}/{path}", ensure_ascii=False)
    more = {"tsv": ', sep="\\t"', "jsonl": ", lines=True"}.get(ending, "")
    yield Way("pandas", f"import pandas as pd\n\nrows = pd.{READERS[ending]}({address}{more})")


def _anything(of: Subject) -> Iterator[Way]:
    kind = "" if of.kind == "model" else f'    repo_type="{of.kind}",\n'
    code = f'    {json.dumps(of.name)},\n{kind}    revision="{of.revision}",\n'
    yield Way("huggingface_hub", f"from huggingface_hub import snapshot_download\n\nfolder = snapshot_download(\n{code})")
    if of.paths:
        path = next((path for path in of.paths if path == "README.md"), of.paths[0])
        url = f"{of.address}/{PREFIXES[of.kind]}{of.name}/resolve/{of.revision}/{quote(path)}"
        yield Way("curl", f"curl -L -C - -O {shlex.quote(url)}")
    yield Way("git", f"git clone {shlex.quote(f'{of.address}/{PREFIXES[of.kind]}{of.name}')}")
    yield Way("concord", pulled(of.kind, of.name))


def pulled(kind: Kind, name: str) -> str:
    """How its files are pulled and then checked without a network: commands of Concord."""
    member = name.partition("/")[0]
    pull = f"concord pull {PREFIXES[kind]}{name} --local-dir FOLDER"
    return f"{pull}\nconcord log policy {member} -o {member}.policy\nconcord verify ./FOLDER --policy {member}.policy"


def _loads(module: str, what: str, named: str, at: str) -> str:
    return f"from {module} import {what}\n\nmodel = {what}.from_pretrained(\n    {named},\n    {at},\n)"


def _type(of: Subject) -> str:
    return "" if of.kind == "model" else f" --repo-type {of.kind}"
