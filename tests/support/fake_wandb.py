"""A wandb server for tests, on loopback: what GraphQL, file streams and uploads bring, kept in memory.

It answers what wandb's client, `wandb sync` and wandb-workspaces ask when a run is made, mirrored, read back or a
workspace or a report is saved. `FakeServer.requests` is every request that came, CONNECTs of a proxy included.
"""

import contextlib
import gzip
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0123456789" * 4
ENTITY = "somebody"


@dataclass
class FakeRun:
    """What the server knows of one run; `lines` are the history by offset, as they came.

    A server keeps one row a step, the earlier or the later one: `conflicts` are those where that makes a difference.
    """

    project: str
    name: str
    config: dict[str, Any] = field(default_factory=dict)
    group: str | None = None
    job_type: str | None = None
    display_name: str | None = None
    tags: list[str] = field(default_factory=list)
    lines: dict[int, dict[str, Any]] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    received: int = 0  # history lines that came, also again

    @property
    def history(self) -> list[dict[str, Any]]:
        rows = {line["_step"]: line for _, line in sorted(self.lines.items(), reverse=True)}
        return [rows[step] for step in sorted(rows)]

    @property
    def conflicts(self) -> list[int]:
        """Steps of which rows with different numbers came."""
        kept = {row["_step"]: numbers(row) for row in self.history}
        return [line["_step"] for line in self.lines.values() if numbers(line) != kept[line["_step"]]]


def numbers(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what wandb adds."""
    return {key: value for key, value in row.items() if not key.startswith("_")}


class FakeServer:
    """`with FakeServer() as server:`; `status` other than 200 is what it answers to everything from then on.

    While `answers` is not set it accepts whatever comes and never answers.
    """

    def __init__(self) -> None:
        self.runs: dict[str, FakeRun] = {}
        self.views: list[dict[str, Any]] = []
        self.reports: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.status = 200
        self.answers = threading.Event()
        self.answers.set()
        self.lock = threading.Lock()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"fake": self}))
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def __enter__(self) -> "FakeServer":
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Die: nobody listens any more."""
        self.http.shutdown()
        self.http.server_close()
        self.status = 503  # for connections that are kept alive
        self.answers.set()

    @property
    def environment(self) -> dict[str, str]:
        """What makes wandb talk to this server."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY, "WANDB_ERROR_REPORTING": "false"}

    @property
    def projects(self) -> set[str]:
        return {run.project for run in self.runs.values()}

    def graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The answer to one operation, by its name."""
        found = re.search(r"(?:query|mutation)\s+(\w+)", query)
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", found[1]).lower() if found else ""
        answer = getattr(self, f"answer_{name}", None)
        with self.lock:
            return {"data": answer(variables) if answer else {}}

    def answer_upsert_bucket(self, said: dict[str, Any]) -> dict[str, Any]:
        known = said["name"] in self.runs
        run = self.runs.setdefault(said["name"], FakeRun(said["project"], said["name"]))
        run.config = json.loads(said["config"]) if said.get("config") else run.config
        run.group, run.job_type = said.get("groupName") or run.group, said.get("jobType") or run.job_type
        run.display_name, run.tags = said.get("displayName") or run.display_name, said.get("tags") or run.tags
        return {"upsertBucket": {"inserted": not known, "bucket": self.bucket(run)}}

    def bucket(self, run: FakeRun) -> dict[str, Any]:
        return {
            "id": run.name,
            "name": run.name,
            "displayName": run.display_name,
            "description": None,
            "config": json.dumps(run.config),
            "sweepName": None,
            "historyLineCount": len(run.lines),
            "project": {"id": "P", "name": run.project, "entity": {"id": "E", "name": ENTITY}},
        }

    def answer_viewer(self, said: dict[str, Any]) -> dict[str, Any]:
        flags = json.dumps({"code_saving_enabled": False})
        teams = {"edges": [{"node": {"name": ENTITY}}]}
        return {"viewer": {"id": "U", "entity": ENTITY, "username": ENTITY, "flags": flags, "teams": teams}}

    def answer_get_default_entity(self, said: dict[str, Any]) -> dict[str, Any]:
        return self.answer_viewer(said)

    def answer_runs(self, said: dict[str, Any]) -> dict[str, Any]:
        nodes = [{"node": self.whole(run), "cursor": run.name} for run in self.runs.values()]
        page = {"edges": nodes, "pageInfo": {"endCursor": None, "hasNextPage": False}}
        return {"project": {"internalId": "P", "runCount": len(nodes), "readOnly": False, "runs": page}}

    def answer_run(self, said: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(said["name"])
        return {"project": {"internalId": "P", "run": self.whole(run) if run else None}}

    def answer_run_history_keys(self, said: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"run": {"historyKeys": self.whole(self.runs[said["name"]])["historyKeys"]}}}

    def answer_run_parquet_history(self, said: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": []}}}}

    def answer_history_page(self, said: dict[str, Any]) -> dict[str, Any]:
        rows = [row for row in self.runs[said["run"]].history if said["minStep"] <= row["_step"] < said["maxStep"]]
        return {"project": {"run": {"history": [json.dumps(row) for row in rows]}}}

    def answer_get_projects(self, said: dict[str, Any]) -> dict[str, Any]:
        known = {
            "id": "P",
            "entityName": ENTITY,
            "createdAt": "2025-01-01T00:00:00",
            "isBenchmark": False,
            "user": None,
        }
        edges = [{"node": {**known, "name": name}} for name in sorted(self.projects)]
        return {"models": {"edges": edges, "pageInfo": {"endCursor": None, "hasNextPage": False}}}

    def answer_project_internal_id(self, said: dict[str, Any]) -> dict[str, Any]:
        known = said["projectName"] in self.projects
        return {"project": {"id": "P", "internalId": "P"} if known else None}

    def answer_upsert_view(self, said: dict[str, Any]) -> dict[str, Any]:
        self.reports.append({"name": said["displayName"], "spec": json.loads(said["spec"])})
        project = {"id": "P", "name": said["projectName"], "entityName": said["entityName"]}
        view = {"id": "R", "displayName": said["displayName"], "spec": said["spec"], "project": project}
        return {"upsertView": {"view": {**view, "name": said["name"], "description": ""}, "inserted": True}}

    def answer_upsert_view2(self, said: dict[str, Any]) -> dict[str, Any]:
        self.views.append({"name": said.get("displayName"), "spec": json.loads(said["spec"])})
        view = {"id": "V", "name": said.get("name"), "displayName": said.get("displayName"), "spec": said["spec"]}
        return {"upsertView": {"view": view, "inserted": True}}

    def whole(self, run: FakeRun) -> dict[str, Any]:
        """A run as wandb's public interface has it."""
        names = ("sweepName", "systemMetrics", "heartbeatAt", "notes", "commit", "storageId")
        return {
            **dict.fromkeys(names),
            **self.bucket(run),
            "projectId": "1",
            "user": {"name": ENTITY, "username": ENTITY},
            "state": "finished",
            "readOnly": False,
            "createdAt": "2025-01-01T00:00:00",
            "group": run.group,
            "jobType": run.job_type,
            "tags": run.tags,
            "summaryMetrics": json.dumps(run.summary),
            "historyKeys": {"lastStep": max((row["_step"] for row in run.history), default=-1)},
        }

    def answer_server_features_query(self, said: dict[str, Any]) -> dict[str, Any]:
        return {"serverInfo": {"features": []}}

    def answer_delete_run(self, said: dict[str, Any]) -> dict[str, Any]:
        self.runs.pop(said["id"])
        return {"deleteRun": {"clientMutationId": None}}

    def answer_create_run_files(self, said: dict[str, Any]) -> dict[str, Any]:
        files = [{"name": file, "uploadUrl": f"{self.url}/upload/{file}"} for file in said["files"]]
        return {"createRunFiles": {"runID": said["run"], "uploadHeaders": [], "files": files}}

    def stream(self, run: FakeRun, body: dict[str, Any]) -> None:
        """One message of a file stream."""
        for file, chunk in (body.get("files") or {}).items():
            lines = [json.loads(line) for line in chunk["content"]]
            if file == "wandb-history.jsonl":
                run.received += len(lines)
                run.lines.update({chunk["offset"] + place: line for place, line in enumerate(lines)})
            elif file == "wandb-summary.json":
                run.summary = lines[-1]
        if body.get("complete"):
            run.exit_code = body.get("exitcode")


class Handler(BaseHTTPRequestHandler):
    """HTTP for a FakeServer."""

    fake: FakeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None: ...

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def reply(self, content: Any) -> None:
        self.fake.answers.wait()
        body = json.dumps(content).encode()
        self.send_response(self.fake.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw

    def do_POST(self) -> None:
        self.fake.requests.append(f"POST {self.path}")
        raw = self.body()
        if self.fake.status != 200:
            self.reply({"errors": [{"message": "the server is broken"}]})
        elif self.path.startswith("/graphql"):
            said = json.loads(raw)
            self.fake.requests[-1] += " " + said["query"].split("(")[0].split("{")[0].strip()
            self.reply(self.fake.graphql(said["query"], said.get("variables") or {}))
        elif self.path.endswith("/file_stream"):
            name = self.path.split("/")[-2]
            with self.fake.lock:
                self.fake.stream(self.fake.runs[name], json.loads(raw))
            self.reply({})
        else:
            self.reply({})

    def do_PUT(self) -> None:
        self.fake.requests.append(f"PUT {self.path}")
        self.body()
        self.reply({})

    def do_GET(self) -> None:
        self.fake.requests.append(f"GET {self.path}")
        self.reply({})

    def do_CONNECT(self) -> None:
        self.fake.requests.append(f"CONNECT {self.path}")
        self.send_error(502)
