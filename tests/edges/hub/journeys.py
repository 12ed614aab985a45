"""What people do with huggingface_hub. Run by the Python of a client, which knows nothing of Concord: `journeys.py NAME FOLDER`.

Each journey is a function of the same name; an assertion that fails, or an error, is its end.
"""

import os
import sys
import tempfile
from pathlib import Path

import huggingface_hub
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    HfFileSystem,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

VERSION = tuple(map(int, huggingface_hub.__version__.split(".")[:2]))
api = HfApi()
namespace = api.whoami()["name"]
tag = f"v{'-'.join(map(str, VERSION))}-{os.environ['JOURNEY_WAY']}"  # so that no client meets the repos of another
README = b"""---
license: mit
language: sw
tags: [speech]
pipeline_tag: text-classification
library_name: transformers
---
# Words
"""


def named(name: str, **more: object) -> str:
    """A new repo."""
    return api.create_repo(f"{namespace}/{name}-{tag}", **more).repo_id


def fails(kind: type[Exception], call: object, *words: object, **more: object) -> Exception:
    """The error of this kind that a call ends with."""
    try:
        call(*words, **more)
    except kind as e:
        return e
    raise AssertionError(f"{call} did not fail with {kind}")


def status(call: object, *words: object, **more: object) -> int:
    """The HTTP status that a call fails with."""
    return fails(HfHubHTTPError, call, *words, **more).response.status_code


def whoami_and_repos(folder: Path) -> None:
    me = api.whoami()
    assert me["auth"]["accessToken"]["role"] == "write"
    repo = named("life")
    assert api.create_repo(repo, exist_ok=True).repo_id == repo
    assert status(api.create_repo, repo) == 409
    assert api.repo_exists(repo) and not api.repo_exists(f"{repo}-never")
    info = api.model_info(repo)
    assert (info.id, info.private, info.gated, info.author) == (repo, False, False, namespace)
    assert api.list_repo_files(repo) == [".gitattributes"]
    api.update_repo_settings(repo, gated="manual")
    assert api.model_info(repo).gated == "manual"
    api.update_repo_settings(repo, gated=False)
    api.move_repo(repo, f"{repo}-moved")
    assert api.model_info(f"{repo}-moved").id == api.model_info(repo).id == f"{repo}-moved"
    api.auth_check(f"{repo}-moved")
    api.delete_repo(f"{repo}-moved")
    fails(RepositoryNotFoundError, api.model_info, f"{repo}-moved")
    api.delete_repo(f"{repo}-moved", missing_ok=True)
    for kind in ("dataset", "space"):
        more = {"space_sdk": "static"} if kind == "space" else {}
        assert named(kind, repo_type=kind, **more)
        assert api.repo_exists(f"{namespace}/{kind}-{tag}", repo_type=kind)


def upload_and_download(folder: Path) -> None:
    repo = named("files", repo_type="dataset")
    source = folder / "source"
    (source / "deep" / "er").mkdir(parents=True)
    weights = os.urandom(3 << 20)
    (source / "weights.bin").write_bytes(weights)
    (source / "deep" / "er" / "text.txt").write_text("text")
    (source / "empty").write_bytes(b"")
    (source / "ünï 文.txt").write_text("ünï")
    (source / "photo.txt").write_bytes(b"\0\1\2 not text")
    done = api.upload_folder(folder_path=source, repo_id=repo, repo_type="dataset", commit_message="All")
    assert len(done.oid) == 40
    api.upload_file(path_or_fileobj=README, path_in_repo="README.md", repo_id=repo, repo_type="dataset")
    files = {".gitattributes", "README.md", "deep/er/text.txt", "empty", "weights.bin", "photo.txt", "ünï 文.txt"}
    assert set(api.list_repo_files(repo, repo_type="dataset")) == files
    got = Path(snapshot_download(repo, repo_type="dataset"))
    assert (got / "weights.bin").read_bytes() == weights
    for path in ("deep/er/text.txt", "empty", "photo.txt", "ünï 文.txt"):
        assert (got / path).read_bytes() == (source / path).read_bytes()
    assert Path(hf_hub_download(repo, "deep/er/text.txt", repo_type="dataset", revision=done.oid)).read_text() == "text"
    plain = Path(snapshot_download(repo, repo_type="dataset", local_dir=folder / "plain", allow_patterns=["deep/*"]))
    assert (plain / "deep/er/text.txt").read_text() == "text"
    assert api.file_exists(repo, "empty", repo_type="dataset") and not api.file_exists(repo, "never", repo_type="dataset")
    fails(EntryNotFoundError, hf_hub_download, repo, "never", repo_type="dataset")
    fails(RevisionNotFoundError, hf_hub_download, repo, "empty", repo_type="dataset", revision="never")
    fails(RepositoryNotFoundError, hf_hub_download, f"{repo}-never", "empty", repo_type="dataset")
    before = api.repo_info(repo, repo_type="dataset").sha
    again = api.upload_folder(folder_path=source, repo_id=repo, repo_type="dataset")
    assert again.oid == before  # nothing changed


def large_folder(folder: Path) -> None:
    repo = named("large-folder", repo_type="dataset")
    source = folder / "large"
    for number in range(30):
        place = source / f"part-{number % 3}" / f"{number}.{'bin' if number % 2 else 'txt'}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(bytes([number]) * 1000)
    if hasattr(api, "upload_large_folder"):
        api.upload_large_folder(repo_id=repo, repo_type="dataset", folder_path=source, num_workers=2, print_report=False)
    else:  # since 2.x every folder is sent as a large one
        api.upload_folder(repo_id=repo, repo_type="dataset", folder_path=source)
    got = Path(snapshot_download(repo, repo_type="dataset", allow_patterns="part-*"))
    assert {path.relative_to(got).as_posix(): path.read_bytes() for path in got.rglob("*.*")} == {
        path.relative_to(source).as_posix(): path.read_bytes() for path in source.glob("part-*/*")
    }


def many_parts(folder: Path) -> None:
    repo = named("parts")
    content = os.urandom(1 << 20) * 40
    (folder / "big.safetensors").write_bytes(content)
    api.upload_file(path_or_fileobj=folder / "big.safetensors", path_in_repo="big.safetensors", repo_id=repo)
    assert Path(hf_hub_download(repo, "big.safetensors")).read_bytes() == content


def commits(folder: Path) -> None:
    repo = named("commits")
    first = api.create_commit(
        repo, [CommitOperationAdd("a.txt", b"a"), CommitOperationAdd("b/c.bin", b"\0\1")], commit_message="One"
    )
    second = api.create_commit(repo, [CommitOperationAdd("d.txt", b"d")], commit_message="Two", parent_commit=first.oid)
    assert status(api.create_commit, repo, [CommitOperationAdd("e", b"e")], commit_message="No", parent_commit=first.oid) == 412
    api.create_commit(
        repo,
        [CommitOperationDelete("a.txt"), CommitOperationCopy("b/c.bin", "copied.bin"), CommitOperationCopy("d.txt", "copied.txt")],
        commit_message="Three",
        commit_description="In more words",
    )
    assert set(api.list_repo_files(repo)) == {".gitattributes", "b/c.bin", "d.txt", "copied.bin", "copied.txt"}
    api.delete_file("d.txt", repo)
    api.delete_folder("b", repo)
    listed = api.list_repo_commits(repo)
    titles = [commit.title for commit in listed]
    assert titles[2:] == ["Three", "Two", "One", "initial commit"], titles
    assert (listed[2].message, listed[3].commit_id) == ("In more words", second.oid)
    assert api.list_repo_files(repo, revision=first.oid) == [".gitattributes", "a.txt", "b/c.bin"]
    api.create_branch(repo, branch="dev/x", revision=first.oid)
    assert status(api.create_branch, repo, branch="dev/x") == 409
    api.create_branch(repo, branch="dev/x", exist_ok=True)
    api.create_tag(repo, tag="v1", revision="dev/x", tag_message="The first")
    api.upload_file(path_or_fileobj=b"on dev", path_in_repo="dev.txt", repo_id=repo, revision="dev/x")
    assert Path(hf_hub_download(repo, "dev.txt", revision="dev/x")).read_text() == "on dev"
    assert not api.file_exists(repo, "dev.txt", revision="v1")
    refs = api.list_repo_refs(repo, include_pull_requests=True)
    assert {branch.name for branch in refs.branches} == {"main", "dev/x"}
    assert [(one.name, one.target_commit) for one in refs.tags] == [("v1", first.oid)]
    api.delete_tag(repo, tag="v1")
    api.delete_branch(repo, branch="dev/x")
    assert status(api.delete_branch, repo, branch="never") == 404
    api.super_squash_history(repo)
    assert len(api.list_repo_commits(repo)) == 1
    assert set(api.list_repo_files(repo)) == {".gitattributes", "copied.bin", "copied.txt"}


def talk(folder: Path) -> None:
    repo = named("talk")
    question = api.create_discussion(repo, "A question", description="How?")
    api.comment_discussion(repo, question.num, "Like this.")
    api.rename_discussion(repo, question.num, "An answered question")
    api.change_discussion_status(repo, question.num, "closed", comment="Done.")
    details = api.get_discussion_details(repo, question.num)
    assert (details.title, details.status, details.is_pull_request) == ("An answered question", "closed", False)
    assert [event.content for event in details.events if event.type == "comment"] == ["How?", "Like this.", "Done."]
    assert {event.type for event in details.events} == {"comment", "title-change", "status-change"}
    proposed = api.create_commit(repo, [CommitOperationAdd("new.txt", b"new")], commit_message="Better", create_pr=True)
    assert proposed.pr_num and proposed.pr_url and proposed.pr_revision == f"refs/pr/{proposed.pr_num}"
    assert Path(hf_hub_download(repo, "new.txt", revision=proposed.pr_revision)).read_text() == "new"
    assert not api.file_exists(repo, "new.txt")
    api.upload_file(path_or_fileobj=b"more", path_in_repo="more.txt", repo_id=repo, revision=proposed.pr_revision)
    pull = api.get_discussion_details(repo, proposed.pr_num)
    assert (pull.status, pull.target_branch, pull.conflicting_files) == ("open", "refs/heads/main", [])
    assert next(event.summary for event in pull.events if event.type == "commit") == "Better"
    api.merge_pull_request(repo, proposed.pr_num, comment="Thank you.")
    merged = api.get_discussion_details(repo, proposed.pr_num)
    assert (merged.status, merged.merge_commit_oid) == ("merged", api.model_info(repo).sha)
    assert api.file_exists(repo, "new.txt") and api.file_exists(repo, "more.txt")
    opened = api.create_pull_request(repo, "A draft")
    assert opened.status == "draft"
    api.upload_folder(folder_path=_folder(folder), repo_id=repo, create_pr=True)
    kinds = [thread.is_pull_request for thread in api.get_repo_discussions(repo)]
    assert (kinds.count(True), kinds.count(False)) == (3, 1)
    assert [one.num for one in api.get_repo_discussions(repo, discussion_type="discussion")] == [question.num]


def _folder(folder: Path) -> Path:
    made = Path(tempfile.mkdtemp(dir=folder))
    (made / "one.txt").write_text("1")
    (made / "two.bin").write_bytes(os.urandom(1000))
    return made


def finding(folder: Path) -> None:
    repo = named("found")
    api.upload_file(path_or_fileobj=README, path_in_repo="README.md", repo_id=repo)
    header = b'{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'
    weights = len(header).to_bytes(8, "little") + header + bytes(24)
    api.upload_file(path_or_fileobj=weights, path_in_repo="model.safetensors", repo_id=repo)
    info = api.model_info(repo, files_metadata=True, securityStatus=True)
    assert (info.pipeline_tag, info.library_name, info.card_data.license) == ("text-classification", "transformers", "mit")
    assert {"license:mit", "sw", "speech"} <= set(info.tags)
    assert info.safetensors.total == 6
    by_name = {one.rfilename: one for one in info.siblings}
    assert (by_name["model.safetensors"].lfs.size, by_name["README.md"].size) == (len(weights), len(README))
    assert set(api.model_info(repo, expand=["likes", "sha"]).__dict__) >= {"likes", "sha"}
    assert [one.id for one in api.list_models(search=f"found-{tag}")] == [repo]
    assert repo in [one.id for one in api.list_models(filter=["license:mit", "sw"], author=namespace, sort="createdAt", limit=1000)]
    assert repo in [one.id for one in api.list_models(pipeline_tag="text-classification", full=True)]
    assert repo not in [one.id for one in api.list_models(filter="license:apache-2.0")]
    assert len(list(api.list_models(limit=1))) == 1
    entries = list(api.list_repo_tree(repo, recursive=True, expand=True))
    assert {one.path: one.last_commit.title for one in entries}["README.md"] == "Upload README.md with huggingface_hub"
    paths = api.get_paths_info(repo, ["README.md", "model.safetensors", "never"], expand=True)
    assert [one.path for one in paths] == ["README.md", "model.safetensors"]
    assert paths[1].lfs.size == len(weights)
    found = api.get_safetensors_metadata(repo)
    assert found.parameter_count == {"F32": 6}
    others = api.list_repo_likers(repo)
    assert list(others) == []
    assert "license" in api.get_model_tags()
    api.get_dataset_tags()


def lists(folder: Path) -> None:
    """Every parameter of the lists, and every property that can be expanded."""
    data = named("list-data", repo_type="dataset")
    model, made, space = named("list-model"), named("list-made"), named("list-space", repo_type="space", space_sdk="static")
    front = b"task_categories: [translation]\nsize_categories: 1K<n<10K\nmultilinguality: monolingual\ntask_ids: [speech]\n"
    front += b"language_creators: found\nlanguage: [sw]\n"
    cards = {data: front, model: f"license: mit\nlanguage: sw\ndatasets: [{data}]\nco2_eq_emissions: {{emissions: 3.5}}\n".encode()}
    cards[made] = f"base_model: {model}\nbase_model_relation: quantized\nlibrary_name: peft\n".encode()
    cards[space] = f"sdk: static\nmodels: [{model}]\ndatasets: [{data}]\n".encode()
    kinds = {data: "dataset", space: "space"}
    for repo, said in cards.items():
        api.upload_file(
            path_or_fileobj=b"---\n%s---\n# It\n" % said, path_in_repo="README.md", repo_id=repo, repo_type=kinds.get(repo)
        )
    header = b'{"w":{"dtype":"F32","shape":[20,30],"data_offsets":[0,2400]}}'
    weights = len(header).to_bytes(8, "little") + header + bytes(2400)
    api.upload_file(path_or_fileobj=weights, path_in_repo="model.safetensors", repo_id=model)
    api.upload_file(path_or_fileobj=b"GGUF", path_in_repo="model.gguf", repo_id=made)
    api.upload_file(path_or_fileobj=b"a,b\n", path_in_repo="rows.csv", repo_id=data, repo_type="dataset")
    api.update_repo_settings(made, gated="auto")

    def models(**asked: object) -> set[str]:
        return {each.id for each in api.list_models(search="list-", **asked)} & {model, made}

    assert models(filter="safetensors") == models(filter=["license:mit", "sw"]) == models(trained_dataset=data) == {model}
    assert models(filter="gguf") == models(filter=f"base_model:{model}") == models(filter=f"base_model:quantized:{model}") == {made}
    assert models(filter="peft") == models(gated=True) == {made} and models(gated=False) == {model}
    assert models(author=namespace) == {model, made} and models(author="never") == models(pipeline_tag="never") == set()
    if VERSION >= (1, 0):
        assert models(num_parameters="min:100,max:1K") == {model} and models(num_parameters="min:1B") == set()
    emitting = list(api.list_models(search=f"list-model-{tag}", cardData=True, emissions_thresholds=(1, 5)))
    assert [each.id for each in emitting] == [model]
    for sort in ("created_at", "downloads", "last_modified", "likes", "trending_score"):
        assert {model, made} <= {each.id for each in api.list_models(sort=sort, search="list-")}
    newest = [each.id for each in api.list_models(sort="created_at", search="list-m", author=namespace) if each.id in (model, made)]
    assert newest in ([made, model], [model, made])  # within one second they are in the order of their names
    full = {each.id: each for each in api.list_models(search=f"list-model-{tag}", full=True, fetch_config=True)}[model]
    assert {each.rfilename for each in full.siblings} == {".gitattributes", "README.md", "model.safetensors"}
    for absent in ({"inference": "warm"}, {"apps": "ollama"}, {"inference_provider": "all"}):
        assert status(lambda absent=absent: list(api.list_models(**absent))) == 501

    def datasets(**asked: object) -> set[str]:
        return {each.id for each in api.list_datasets(dataset_name="list-data", **asked)} & {data}

    for field, value in (("task_categories", "translation"), ("size_categories", "1K<n<10K"), ("multilinguality", "monolingual")):
        assert datasets(**{field: value}) == {data} and datasets(**{field: "never"}) == set()
    for field, value in (("task_ids", "speech"), ("language_creators", "found"), ("language", "sw"), ("filter", "format:csv")):
        assert datasets(**{field: value}) == {data} and datasets(**{field: "never"}) == set()
    assert datasets(gated=True) == datasets(benchmark="official") == datasets(search="never") == set()
    assert datasets(author=namespace, sort="likes", full=True) == {data}

    def spaces(**asked: object) -> set[str]:
        return {each.id for each in api.list_spaces(author=namespace, **asked)} & {space}

    assert spaces(models=model) == spaces(datasets=[data]) == spaces(linked=True) == spaces(filter="static") == {space}
    assert spaces(models="never/was") == spaces(filter="gradio") == set()
    expanded(model, made, data, space)


def expanded(model: str, made: str, data: str, space: str) -> None:
    hf_api = huggingface_hub.hf_api
    for repo, names, info, listed in (
        (model, hf_api.ExpandModelProperty_T, api.model_info, api.list_models),
        (data, hf_api.ExpandDatasetProperty_T, api.dataset_info, api.list_datasets),
        (space, hf_api.ExpandSpaceProperty_T, api.space_info, api.list_spaces),
    ):
        for name in names.__args__:
            assert info(repo, expand=[name]).id == repo
            assert [each.id for each in listed(search=repo, expand=[name])] == [repo]
        assert status(info, repo, expand=["beauty"]) == 400
        every = info(repo, expand=list(names.__args__))
        assert (every.sha, every.private, every.author) == (info(repo).sha, False, namespace)
    about = api.model_info(model, expand=["safetensors", "usedStorage", "childrenModelCount", "spaces", "cardData"])
    assert (about.safetensors.total, about.spaces, about.card_data.license) == (600, [space], "mit")
    children = getattr(about, "children_model_count", None) or about.childrenModelCount
    assert children == {"quantized": 1}
    base = api.model_info(made, expand=["baseModels"])
    assert (getattr(base, "base_models", None) or base.baseModels)["models"] == [{"id": model}]
    about = api.space_info(space, expand=["models", "datasets", "sdk"])
    assert (about.models, about.datasets, about.sdk) == ([model], [data], "static")


def duplicates(folder: Path) -> None:
    space = named("first", repo_type="space", space_sdk="static")
    api.upload_file(path_or_fileobj=b"\0" * 20_000, path_in_repo="picture.bin", repo_id=space, repo_type="space")
    again = f"{namespace}/again-{tag}"
    if hasattr(api, "duplicate_repo"):
        assert api.duplicate_repo(space, again, repo_type="space").repo_id == again
    else:
        assert api.duplicate_space(space, again).repo_id == again
    copied = api.list_repo_files(again, repo_type="space")
    assert copied == api.list_repo_files(space, repo_type="space") and "picture.bin" in copied
    (large,) = api.list_lfs_files(again, repo_type="space")
    assert (large.filename, large.size) == ("picture.bin", 20_000)
    assert status(api.permanently_delete_lfs_files, again, [large], repo_type="space") == 501
    if VERSION < (2, 0):
        assert status(api.duplicate_space, space, again) == 409
        assert api.duplicate_space(space, again, exist_ok=True).repo_id == again
        assert status(api.duplicate_space, space, f"{again}-2", secrets=[{"key": "A", "value": "b"}]) == 501


def gates(folder: Path) -> None:
    repo = named("gated")
    api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=repo)
    api.update_repo_settings(repo, gated="auto")
    assert list(api.list_pending_access_requests(repo)) == []
    api.grant_access(repo, "admin")
    accepted = list(api.list_accepted_access_requests(repo))
    assert [one.username for one in accepted] == [f"admin@{namespace}"]
    api.reject_access_request(repo, f"admin@{namespace}", rejection_reason=None)
    assert [one.status for one in api.list_rejected_access_requests(repo)] == ["rejected"]
    stranger = HfApi(token=False)
    fails(GatedRepoError, stranger.auth_check, repo)
    secret = named("secret", private=True)
    api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=secret)
    assert Path(hf_hub_download(secret, "x.txt")).read_text() == "x"
    fails(RepositoryNotFoundError, stranger.model_info, secret)
    assert secret in [one.id for one in api.list_models(author=namespace)]
    assert secret not in [one.id for one in stranger.list_models(author=namespace)]
    api.update_repo_settings(secret, private=False)
    assert stranger.model_info(secret).private is False
    assert status(api.update_repo_settings, secret, private=True) == 403


def file_system(folder: Path) -> None:
    repo = named("table", repo_type="dataset")
    fs = HfFileSystem()
    root = f"datasets/{repo}"
    with fs.open(f"{root}/data/words.csv", "w") as file:
        file.write("word,count\nmaji,3\nmoto,5\n")
    assert fs.ls(f"{root}/data", detail=False) == [f"{root}/data/words.csv"]
    assert fs.read_text(f"{root}/data/words.csv").startswith("word,count")
    assert fs.glob(f"{root}/**/*.csv") == [f"{root}/data/words.csv"]
    with fs.open(f"{root}/data/words.csv", "rb", block_size=4) as file:
        file.seek(11)
        assert file.read(4) == b"maji"
    fs.rm(f"{root}/data/words.csv")
    assert not fs.exists(f"{root}/data/words.csv")
    try:
        import pandas as pd  # noqa: PLC0415  only one of the clients has it
    except ImportError:
        return
    frame = pd.DataFrame({"word": ["maji", "moto"], "count": [3, 5]})
    frame.to_csv(f"hf://{root}/again.csv", index=False)
    assert pd.read_csv(f"hf://{root}/again.csv").equals(frame)


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]))
