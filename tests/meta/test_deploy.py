"""What stands under deploy/: by the public schemas, and by what the commands, figures and settings really are."""

from __future__ import annotations

import copy
import json
import re
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from importlib import resources
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import typer.main
import yaml

from engine.config import Config
from flows.checkup import Topic
from flows.health import Held, State
from hitonami import doctor
from hitonami.cli import app
from hitonami.health import create_app, families
from sinks.clickhouse import schema
from sinks.clickhouse.runs import Run
from tests.meta.test_wheel import FILES
from tests.meta.tree import PACKAGES, ROOT

DEPLOY = ROOT / "deploy"
KUBERNETES = "1.33.0"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MANIFESTS: list[dict[str, Any]] = [
    document
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
OURS = "hitonami:"  # the image
MADE_BY_HAND = {("ConfigMap", "registry"), ("Secret", "store")}


def names(documents: list[dict[str, Any]]) -> list[str]:
    return [f"{document['kind']}-{document['metadata']['name']}" for document in documents]


def compose_schema() -> dict[str, Any]:
    folder = resources.files("check_jsonschema").joinpath("builtin_schemas", "vendor", "compose-spec.json")
    schema: dict[str, Any] = json.loads(folder.read_text("utf-8"))
    return schema


def pods() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Kind, the workload and its pod template."""
    for document in MANIFESTS:
        if "template" in document.get("spec", {}):
            yield document["kind"], document, document["spec"]["template"]


PODS = list(pods())
POD_NAMES = [workload["metadata"]["name"] for _, workload, _ in PODS]


# ------------------------------------------------------------------------------------ schemas
def test_compose_is_what_the_specification_says() -> None:
    jsonschema.validate(COMPOSE, compose_schema())
    wrong = copy.deepcopy(COMPOSE)
    wrong["services"]["run"]["comand"] = []
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, compose_schema())


@pytest.mark.parametrize("document", MANIFESTS, ids=names(MANIFESTS))
def test_manifests_are_what_kubernetes_says(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, KUBERNETES, strict=True)
    wrong = copy.deepcopy(document)
    wrong["metadata"]["nmae"] = "x"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


# ----------------------------------------------------------------------------------- commands
def parsed(words: list[str]) -> None:
    """Raises where the command line has no such command or option."""
    command, name, rest, context = typer.main.get_command(app), "hitonami", list(words), None
    while True:
        context = command.make_context(name, list(rest), parent=context)
        if not hasattr(command, "get_command"):
            return
        name, *rest = rest
        command = command.get_command(context, name)
        assert command is not None, name


def command_lines() -> Iterator[tuple[str, list[str]]]:
    for name, service in COMPOSE["services"].items():
        if service["image"].startswith(OURS):
            yield f"compose-{name}", service["command"]
    for _, _workload, template in PODS:
        for container in template["spec"]["containers"]:
            if container["image"].startswith(OURS):
                yield f"kubernetes-{container['name']}", container["args"]


LINES = dict(command_lines())


@pytest.mark.parametrize("name", LINES)
def test_commands_are_those_of_the_command_line(name: str) -> None:
    parsed(LINES[name])
    with pytest.raises(Exception, match="No such option"):
        parsed([*LINES[name], "--no-such-option=1"])


def test_there_are_a_run_and_a_page_in_both_and_what_lets_replicas_join() -> None:
    compose = {"compose-dashboard", "compose-run", "compose-schema-2", "compose-schema-3"}
    assert LINES.keys() == compose | {
        "kubernetes-dashboard",
        "kubernetes-run",
        "kubernetes-schema-1",
        "kubernetes-schema-2",
    }


# ----------------------------------------------------------------------------------- compose
def test_compose_names_only_what_it_has() -> None:
    services, volumes = COMPOSE["services"], COMPOSE["volumes"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert set(service.get("networks", [])) <= set(COMPOSE["networks"])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in volumes or source == "./registry.json" or (DEPLOY / source).is_file(), volume
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_three_brokers_have_numbers_of_their_own() -> None:
    brokers = {n: s["environment"] for n, s in COMPOSE["services"].items() if n.startswith("kafka-")}
    assert len(brokers) == 3
    for name, environment in brokers.items():
        number = environment["KAFKA_NODE_ID"]
        assert f"{number}@{name}:9093" in environment["KAFKA_CONTROLLER_QUORUM_VOTERS"]
        assert environment["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{name}:9092"


def stores(prefix: str) -> list[str]:
    """Hosts of the stores that the commands of one of the two speak to, by the commands' names."""
    found = [re.search(r"@([\w.-]+):8123/hitonami", " ".join(LINES[name])) for name in sorted(LINES) if prefix in name]
    return [host[1] for host in found if host]


def test_three_replicas_know_each_other_and_are_all_made() -> None:
    (map_of,) = (d["data"] for d in MANIFESTS if (d["kind"], d["metadata"]["name"]) == ("ConfigMap", "clickhouse"))
    (pods_of,) = (w for _, w, _ in PODS if w["metadata"]["name"] == "clickhouse")
    services = {n: s for n, s in COMPOSE["services"].items() if n.startswith("clickhouse")}
    named = [f"clickhouse-{n}.clickhouse" for n in range(pods_of["spec"]["replicas"])]
    wanted = {"compose": list(services), "kubernetes": [f"{name}.hitonami.svc" for name in named]}
    texts = {"compose": (DEPLOY / "clickhouse-cluster.xml").read_text(), "kubernetes": map_of["cluster.xml"]}
    for where, text in texts.items():
        root = ElementTree.fromstring(text)
        keepers = [
            (e.findtext("id"), e.findtext("hostname")) for e in root.iterfind("keeper_server/raft_configuration/*")
        ]
        assert keepers == [(str(number), host) for number, host in enumerate(wanted[where], 1)] and len(keepers) == 3
        assert [node.findtext("host") for node in root.iterfind("zookeeper/node")] == wanted[where]
        assert {macro.tag for macro in root.iterfind("macros/*")} == set(schema.CLUSTER_MACROS)
    for number, (name, service) in enumerate(services.items(), 1):
        assert (service["environment"]["KEEPER_ID"], service["environment"]["REPLICA"]) == (number, name)
    # what is acknowledged is on two disks; a database that is there already would not be replicated
    for quorum in (map_of["quorum.xml"], (DEPLOY / "clickhouse-quorum.xml").read_text()):
        assert ElementTree.fromstring(quorum).findtext("profiles/default/insert_quorum") == "2"
    assert "CLICKHOUSE_DB" not in json.dumps([COMPOSE, MANIFESTS])
    # the run and the page speak to one server, to the same one; the others are joined by name
    assert stores("compose") == ["127.0.0.1", "clickhouse", "clickhouse-2", "clickhouse-3"]
    assert stores("kubernetes") == [named[0], named[0], *named[1:]]


def scripts() -> dict[str, str]:
    (job,) = (d for d in MANIFESTS if (d["kind"], d["metadata"]["name"]) == ("Job", "topics"))
    return {
        "compose": COMPOSE["services"]["topics"]["command"][0],
        "kubernetes": job["spec"]["template"]["spec"]["containers"][0]["args"][0],
    }


@pytest.mark.parametrize("where", ["compose", "kubernetes"])
def test_the_doctor_finds_nothing_in_the_topic_that_is_made(where: str) -> None:
    text = scripts()[where].replace("\\\n", " ")
    (line,) = (line for line in text.splitlines() if "--topic people" in line)
    settings = dict(re.findall(r"--config (\S+?)=(\S+)", line))
    replicas = int(re.search(r"--replication-factor (\d)", text)[1])  # type: ignore[index]
    told: list[str] = []
    doctor.topic(doctor.Report(told.append), "people", Topic(4, 3, replicas, 0, 0, settings, 0, 0), "kafka:9092")
    assert [line for line in told if line.startswith("✗")] == []


def test_the_image_is_made_of_what_the_wheel_needs() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    copied = {word for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for word in line.split()}
    assert copied == {*PACKAGES, *FILES}
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert re.search(r"^USER 10001", text, re.MULTILINE)


# -------------------------------------------------------------------------------- kubernetes
@pytest.mark.parametrize(("kind", "workload", "template"), PODS, ids=POD_NAMES)
def test_pods_are_confined(kind: str, workload: dict[str, Any], template: dict[str, Any]) -> None:
    spec = template["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True and spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["resources"]["limits"]["memory"]
        if container["image"].startswith(OURS):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
        if kind != "Job":
            assert {"livenessProbe", "readinessProbe"} <= container.keys()


@pytest.mark.parametrize(("kind", "workload", "template"), PODS, ids=POD_NAMES)
def test_what_a_pod_uses_is_there(kind: str, workload: dict[str, Any], template: dict[str, Any]) -> None:
    made = {(d["kind"], d["metadata"]["name"]) for d in MANIFESTS} | MADE_BY_HAND
    spec = template["spec"]
    volumes = {v["name"] for v in spec.get("volumes", [])}
    volumes |= {v["metadata"]["name"] for v in workload["spec"].get("volumeClaimTemplates", [])}
    for volume in spec.get("volumes", []):
        if "configMap" in volume:
            assert ("ConfigMap", volume["configMap"]["name"]) in made
    for container in spec["containers"]:
        assert {m["name"] for m in container.get("volumeMounts", [])} == (
            volumes if volumes else set()
        )  # none is forgotten
        variables = {v["name"] for v in container.get("env", [])}
        if container["image"].startswith(OURS):
            assert set(re.findall(r"\$\((\w+)\)", " ".join(container["args"]))) <= variables
        for variable in container.get("env", []):
            if "valueFrom" in variable:
                assert ("Secret", variable["valueFrom"]["secretKeyRef"]["name"]) in made
    if kind == "StatefulSet":
        assert ("Service", workload["spec"]["serviceName"]) in made
    if kind != "Job":
        labels = template["metadata"]["labels"]
        assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_probes_ask_what_the_health_port_answers() -> None:
    routes = {route.path for route in create_app(State).routes}  # type: ignore[attr-defined]
    (run,) = (t["spec"]["containers"][0] for _, w, t in PODS if w["metadata"]["name"] == "run")
    asked = {run[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert asked == {"/healthz", "/readyz"} and asked <= routes
    assert run["livenessProbe"]["httpGet"]["path"] == "/healthz"  # a store that is away is no reason to kill the run
    (port,) = run["ports"]
    assert f"--health-port={port['containerPort']}" in run["args"]
    (service,) = (d for d in MANIFESTS if (d["kind"], d["metadata"]["name"]) == ("Service", "run"))
    assert service["spec"]["ports"][0]["port"] == port["containerPort"]


def test_policies_speak_of_pods_and_ports_that_are_there() -> None:
    labels = {t["metadata"]["labels"]["app"]: t["spec"]["containers"][0].get("ports", []) for _, _, t in PODS}
    policies = [d for d in MANIFESTS if d["kind"] == "NetworkPolicy"]
    everything = next(p for p in policies if not p["spec"]["podSelector"])
    assert everything["spec"]["policyTypes"] == ["Ingress", "Egress"] and "ingress" not in everything["spec"]
    for policy in policies:
        if policy is everything:
            continue
        app_of = policy["spec"]["podSelector"]["matchLabels"]["app"]
        open_ports = {port["containerPort"] for port in labels[app_of]}
        for rule in policy["spec"].get("ingress", []):
            assert rule["from"] and {port["port"] for port in rule["ports"]} <= open_ports
        for rule in policy["spec"].get("egress", []):
            (target,) = (peer["podSelector"]["matchLabels"]["app"] for peer in rule["to"])
            assert {p["port"] for p in rule["ports"]} <= {port["containerPort"] for port in labels[target]}


# ----------------------------------------------------------------------- settings and figures
def test_the_settings_are_settings() -> None:
    config = Config.load(DEPLOY / "hitonami.toml")
    (map_of,) = (d["data"] for d in MANIFESTS if (d["kind"], d["metadata"]["name"]) == ("ConfigMap", "hitonami"))
    assert set(map_of) == {"hitonami.toml"}
    assert Config(tomllib.loads(map_of["hitonami.toml"])).as_json() == config.as_json()


def test_alerts_and_operations_speak_of_figures_that_are_told() -> None:
    run = Run("live", "live", "{}", "c", "v", "h", "1", "UTC", closed_ms=0, rejected={"late": 1})
    told = set()
    for family in families(State(True, {0: 0}, run=run, consents=Held(0, False, ("malformed",))), 0):
        told |= {sample.name for sample in family.samples}
    alerts = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    assert len(rules) >= 6
    text = " ".join(rule["expr"] for rule in rules)
    assert set(re.findall(r"hitonami_\w+", text)) <= told
    operations = (ROOT / "docs" / "OPERATIONS.md").read_text()
    assert told | {"hitonami_store_answers"} == set(re.findall(r"hitonami_[a-z_]+", operations))
    assert {rule["alert"] for rule in rules} == set(re.findall(r"`(Hitonami[A-Za-z]+)`", operations))
