"""Every public method of HfApi, called for real or known not to be offered. Run by the Python of the newest client:
`every_method.py FOLDER`.

A method that a new version of the client brings fails this, until somebody has decided what it is to answer.
"""

import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError

api = HfApi()
folder = Path(sys.argv[1])
namespace = api.whoami()["name"]
README = b"---\nlicense: mit\nlanguage: sw\nlibrary_name: transformers\npipeline_tag: translation\n---\n# Words\n"
HEADER = b'{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(24)
INDEX = b'{"metadata": {}, "weight_map": {"w": "model.safetensors"}}'
REPO, GATED = f"{namespace}/every", f"{namespace}/every-gated"
COLLECTION = f"{namespace}/every"
USER = f"admin@{namespace}"
(folder / "some").mkdir()
(folder / "some" / "a.txt").write_text("a")
(folder / "picture.png").write_bytes(b"\x89PNG")


def is_(found: object, wanted: object) -> None:
    assert found == wanted, (found, wanted)


def has(found: object) -> None:
    assert found, found


def ids(found: object) -> list[str]:
    return [each.id for each in found]


def number() -> int:
    """The number of a discussion of its own."""
    return api.create_discussion(REPO, f"A question {os.urandom(4).hex()}", description="How?").num


def pull() -> int:
    done = api.create_commit(REPO, [CommitOperationAdd(os.urandom(4).hex(), b"x")], commit_message="More", create_pr=True)
    return done.pr_num


def set_up() -> None:
    api.create_repo(REPO)
    api.create_repo(GATED)
    api.update_repo_settings(GATED, gated="manual")
    files = {"README.md": README, "model.safetensors": WEIGHTS, "model.safetensors.index.json": INDEX, "big.bin": bytes(30_000)}
    api.create_commit(REPO, [CommitOperationAdd(path, content) for path, content in files.items()], commit_message="First")


def deleted(what: str) -> None:
    api.upload_folder(repo_id=REPO, folder_path=folder / "some", path_in_repo=what)


def grant() -> None:
    api.grant_access(GATED, "admin")


REAL: dict[str, Callable[[], object]] = {
    # Who
    "whoami": lambda: is_(api.whoami()["name"], namespace),
    "get_user_overview": lambda: is_(api.get_user_overview(USER).username, namespace),
    "get_organization_overview": lambda: is_(api.get_organization_overview(namespace).name, namespace),
    "list_organization_members": lambda: has([each.username for each in api.list_organization_members(namespace)]),
    "list_user_repos": lambda: has({each.id: each.storage for each in api.list_user_repos()}[REPO]),
    "list_liked_repos": lambda: is_(api.list_liked_repos().models, []),
    "unlike": lambda: api.unlike(REPO),
    "list_repo_likers": lambda: is_(list(api.list_repo_likers(REPO)), []),
    # Repos
    "create_repo": lambda: is_(api.create_repo(REPO, exist_ok=True).repo_id, REPO),
    "duplicate_repo": lambda: is_(api.duplicate_repo(REPO, f"{namespace}/every-again").repo_id, f"{namespace}/every-again"),
    "move_repo": lambda: (
        api.create_repo(f"{namespace}/every-old"),
        api.move_repo(f"{namespace}/every-old", f"{namespace}/every-new"),
    ),
    "delete_repo": lambda: (api.create_repo(f"{namespace}/every-gone"), api.delete_repo(f"{namespace}/every-gone")),
    "update_repo_settings": lambda: api.update_repo_settings(REPO, gated=False),
    "auth_check": lambda: api.auth_check(REPO),
    "repo_exists": lambda: has(api.repo_exists(REPO)),
    "revision_exists": lambda: has(api.revision_exists(REPO, "main")),
    "file_exists": lambda: has(api.file_exists(REPO, "README.md")),
    "repo_info": lambda: is_(api.repo_info(REPO).id, REPO),
    "model_info": lambda: is_(api.model_info(REPO).library_name, "transformers"),
    "dataset_info": lambda: (api.create_repo(REPO, repo_type="dataset"), is_(api.dataset_info(REPO).id, REPO)),
    "space_info": lambda: (api.create_repo(REPO, repo_type="space", space_sdk="static"), is_(api.space_info(REPO).id, REPO)),
    "list_models": lambda: has(REPO in ids(api.list_models(author=namespace))),
    "list_datasets": lambda: has(ids(api.list_datasets())),
    "list_spaces": lambda: is_(ids(api.list_spaces(search="never")), []),
    "get_model_tags": lambda: has("license" in api.get_model_tags()),
    "get_dataset_tags": lambda: has("license" in api.get_dataset_tags()),
    "get_full_repo_name": lambda: is_(api.get_full_repo_name("x"), f"{namespace}/x"),
    # Gates
    "grant_access": grant,
    "list_accepted_access_requests": lambda: is_([each.username for each in api.list_accepted_access_requests(GATED)], [USER]),
    "reject_access_request": lambda: api.reject_access_request(GATED, USER, rejection_reason=None),
    "list_rejected_access_requests": lambda: has(list(api.list_rejected_access_requests(GATED))),
    "accept_access_request": lambda: api.accept_access_request(GATED, USER),
    "cancel_access_request": lambda: api.cancel_access_request(GATED, USER),
    "list_pending_access_requests": lambda: has(list(api.list_pending_access_requests(GATED))),
    # Refs and commits
    "list_repo_refs": lambda: has(api.list_repo_refs(REPO).branches),
    "list_repo_commits": lambda: has(api.list_repo_commits(REPO, formatted=True)),
    "create_branch": lambda: api.create_branch(REPO, branch="dev"),
    "delete_branch": lambda: api.delete_branch(REPO, branch="dev"),
    "create_tag": lambda: api.create_tag(REPO, tag="v1"),
    "delete_tag": lambda: api.delete_tag(REPO, tag="v1"),
    "create_commit": lambda: has(api.create_commit(REPO, [CommitOperationAdd("b.txt", b"b")], commit_message="B").oid),
    "super_squash_history": lambda: api.super_squash_history(GATED),
    "resolve_revision": lambda: is_(len(api.resolve_revision(REPO).resolved), 40),
    # Files
    "upload_file": lambda: has(api.upload_file(path_or_fileobj=b"c", path_in_repo="c.txt", repo_id=REPO)),
    "upload_folder": lambda: has(api.upload_folder(repo_id=REPO, folder_path=folder / "some")),
    "preupload_lfs_files": lambda: api.preupload_lfs_files(REPO, [CommitOperationAdd("large.bin", bytes(40_000))]),
    "copy_files": lambda: api.copy_files(f"hf://{REPO}/big.bin", f"hf://{namespace}/every-again/copied.bin"),
    "delete_file": lambda: api.delete_file("c.txt", REPO),
    "delete_files": lambda: (deleted("two"), api.delete_files(REPO, ["two/*"])),
    "delete_folder": lambda: (deleted("three"), api.delete_folder("three", REPO)),
    "list_repo_files": lambda: has("README.md" in api.list_repo_files(REPO)),
    "list_repo_tree": lambda: has(list(api.list_repo_tree(REPO, recursive=True, expand=True))),
    "get_paths_info": lambda: is_(api.get_paths_info(REPO, ["README.md"])[0].size, len(README)),
    "list_lfs_files": lambda: has({each.filename: each.size for each in api.list_lfs_files(REPO)}["big.bin"]),
    "hf_hub_download": lambda: is_(Path(api.hf_hub_download(REPO, "README.md")).read_bytes(), README),
    "snapshot_download": lambda: has(Path(api.snapshot_download(REPO)).is_dir()),
    "get_hf_file_metadata": lambda: is_(api.get_hf_file_metadata(url=hf_hub_url(REPO, "README.md")).size, len(README)),
    "verify_repo_checksums": lambda: is_(api.verify_repo_checksums(REPO).mismatches, []),
    "get_safetensors_metadata": lambda: is_(api.get_safetensors_metadata(REPO).parameter_count, {"F32": 6}),
    "parse_safetensors_file_metadata": lambda: has(api.parse_safetensors_file_metadata(REPO, "model.safetensors").tensors),
    "get_sharded_safetensors_metadata": lambda: is_(api.get_sharded_safetensors_metadata(REPO).parameter_count, {"F32": 6}),
    # Discussions
    "create_discussion": lambda: has(number()),
    "create_pull_request": lambda: has(api.create_pull_request(REPO, "A draft").num),
    "get_repo_discussions": lambda: has(list(api.get_repo_discussions(REPO))),
    "get_discussion_details": lambda: has(api.get_discussion_details(REPO, number()).events),
    "comment_discussion": lambda: is_(api.comment_discussion(REPO, number(), "Like this.").content, "Like this."),
    "rename_discussion": lambda: has(api.rename_discussion(REPO, number(), "Another title")),
    "change_discussion_status": lambda: has(api.change_discussion_status(REPO, number(), "closed")),
    "merge_pull_request": lambda: api.merge_pull_request(REPO, pull()),
    # Collections
    "create_collection": lambda: is_(api.create_collection("Every", exists_ok=True).slug, COLLECTION),
    "add_collection_item": lambda: is_(api.add_collection_item(COLLECTION, REPO, "model", exists_ok=True).items[0].item_id, REPO),
    "get_collection": lambda: is_([each.item_id for each in api.get_collection(COLLECTION).items], [REPO]),
    "list_collections": lambda: is_([each.slug for each in api.list_collections(item=f"models/{REPO}")], [COLLECTION]),
    "update_collection_metadata": lambda: is_(api.update_collection_metadata(COLLECTION, title="All").title, "All"),
    "delete_collection_item": lambda: api.delete_collection_item(
        COLLECTION, api.get_collection(COLLECTION).items[0].item_object_id
    ),
    # What asks nobody
    "run_as_future": lambda: is_(api.run_as_future(lambda: 1).result(), 1),
}

ID = "9f" * 12


class Later:
    """What is known once there is a repo."""

    def __init__(self, of: Callable[[], object]) -> None:
        self.of = of

    def __call__(self) -> object:
        return self.of()


JOB, SCHEDULED, SPACE, BUCKET = ({"job_id": ID}, {"scheduled_job_id": ID}, {"repo_id": REPO}, {"bucket_id": REPO})
ABSENT: dict[str, tuple[object, ...] | dict[str, object]] = {  # with what they are called
    **dict.fromkeys(("hide_discussion_comment",), (REPO, 1, ID)),
    "edit_discussion_comment": (REPO, 1, ID, "Other words"),
    "permanently_delete_lfs_files": {"repo_id": REPO, "lfs_files": Later(lambda: list(api.list_lfs_files(REPO)))},
    "get_dataset_leaderboard": (REPO,),
    "kernel_info": (REPO,),
    "upload_attachment": (folder / "picture.png",),
    "search_spaces": ("words",),
    **dict.fromkeys(("list_user_followers", "list_user_following", "list_organization_followers"), (namespace,)),
    # Papers and collections
    "list_papers": (),
    "list_daily_papers": (),
    "paper_info": ("2307.09288",),
    "read_paper": ("2307.09288",),
    "delete_collection": (f"{namespace}/every",),
    "update_collection_item": (f"{namespace}/every", ID),
    "update_collection_resource_group": (f"{namespace}/x-{ID}", ID),
    # Webhooks
    "create_webhook": {"url": "https://example.org", "watched": [{"type": "user", "name": namespace}]},
    "list_webhooks": (),
    "update_webhook": {"webhook_id": ID, "url": "https://example.org"},
    **dict.fromkeys(("get_webhook", "delete_webhook", "enable_webhook", "disable_webhook"), (ID,)),
    # Spaces that run
    **dict.fromkeys(("list_space_templates", "list_spaces_hardware", "get_zero_gpu_quota"), ()),
    **dict.fromkeys(("get_space_runtime", "get_space_secrets", "get_space_variables", "pause_space", "restart_space"), SPACE),
    **dict.fromkeys(("enable_space_dev_mode", "disable_space_dev_mode", "fetch_space_logs", "delete_space_volumes"), SPACE),
    "wait_for_space": SPACE,
    "add_space_secret": (REPO, "KEY", "value"),
    "add_space_variable": (REPO, "KEY", "value"),
    "delete_space_secret": (REPO, "KEY"),
    "delete_space_variable": (REPO, "KEY"),
    "request_space_hardware": (REPO, "cpu-upgrade"),
    "set_space_sleep_time": (REPO, 60),
    "set_space_volumes": (REPO, []),
    # Jobs
    **dict.fromkeys(("list_jobs", "list_jobs_hardware", "list_scheduled_jobs"), ()),
    "run_job": {"image": "python", "command": ["true"]},
    "run_uv_job": {"script": "https://example.org/x.py"},
    "create_scheduled_job": {"image": "python", "command": ["true"], "schedule": "@daily"},
    "create_scheduled_uv_job": {"script": "https://example.org/x.py", "schedule": "@daily"},
    **dict.fromkeys(("cancel_job", "inspect_job", "fetch_job_logs", "fetch_job_metrics", "rerun_job", "wait_for_job"), JOB),
    "update_job_labels": {**JOB, "labels": {"a": "b"}},
    "update_job_expose": {**JOB, "expose": [80]},
    **dict.fromkeys(("inspect_scheduled_job", "delete_scheduled_job", "suspend_scheduled_job"), SCHEDULED),
    **dict.fromkeys(("resume_scheduled_job", "trigger_scheduled_job"), SCHEDULED),
    "update_scheduled_job_labels": {**SCHEDULED, "labels": {"a": "b"}},
    "update_scheduled_job_schedule": {**SCHEDULED, "schedule": "@daily"},
    # Buckets
    "create_bucket": (REPO,),
    "list_buckets": (),
    "batch_bucket_files": {**BUCKET, "add": [(b"x", "x")]},
    **dict.fromkeys(("bucket_info", "delete_bucket", "list_bucket_tree"), BUCKET),
    "get_bucket_file_metadata": (REPO, "x"),
    "get_bucket_paths_info": (REPO, ["x"]),
    "download_bucket_files": {**BUCKET, "files": [("x", folder / "x")]},
    "sync_bucket": {"source": str(folder / "some"), "dest": f"hf://buckets/{REPO}"},
    "move_bucket": (REPO, f"{namespace}/other"),
    "update_bucket_settings": {**BUCKET, "private": True},
}
# These ask other hosts, whatever HF_ENDPOINT says, so the node never hears of them; or the client itself refuses.
ELSEWHERE = {name for name, _ in inspect.getmembers(HfApi) if "inference_endpoint" in name} | {
    *("list_inference_catalog", "list_dataset_parquet_files", "sync_job_volume"),
}


def absent(name: str) -> None:
    """A method that is not offered says so: 501, its code, and words of the node's own."""
    with_ = ABSENT[name]
    if isinstance(with_, dict):
        with_ = {each: value() if isinstance(value, Later) else value for each, value in with_.items()}
    response = None
    try:
        found = getattr(api, name)(**with_) if isinstance(with_, dict) else getattr(api, name)(*with_)
        list(found)  # some ask only once they are looked into
    except HfHubHTTPError as e:
        response = e.response
    except ConnectionError as e:  # what hf_xet asks, which tells the status alone
        is_("501 Not Implemented" in str(e), True)
        return
    has(response is not None)
    is_((response.status_code, response.headers.get("X-Error-Code")), (501, "NotImplemented"))
    has(response.headers["X-Error-Message"])


def main() -> None:
    public = {name for name, found in inspect.getmembers(HfApi) if not name.startswith("_") and callable(found)}
    named = [*REAL, *ABSENT, *ELSEWHERE]
    is_(sorted(public - set(named)), [])
    is_(sorted(set(named) - public), [])
    is_(len(named), len(set(named)))
    set_up()
    failed = []
    for name in [*REAL, *ABSENT]:
        try:
            REAL[name]() if name in REAL else absent(name)
        except Exception as e:  # noqa: BLE001  all are tried, and all that fail are told at once
            failed.append(f"{name}: {type(e).__name__}: {str(e)[:400]}")
    is_(failed, [])


if __name__ == "__main__":
    main()
