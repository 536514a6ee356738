"""What deploy/ has: readable, and true to the settings, metrics and addresses that there are."""

import json
import re
import subprocess
from itertools import chain
from pathlib import Path

import pytest
import yaml
from cluster_servers import NGINX, nginx_configuration
from http_fakes import FakeRuntime
from prometheus_client.parser import text_string_to_metric_families

from models.engine.protocol import BatchRecord
from service.http.app import create_app
from service.http.body import max_body_bytes
from service.http.metrics import Metrics
from service.http.server import DISCARD_BYTES
from service.limits import job_limits
from service.settings import PREFIX, Settings

DEPLOY = Path(__file__).parent.parent / "deploy"
YAML = sorted([*DEPLOY.rglob("*.yml"), *DEPLOY.rglob("*.yaml")])
CPU, GPU = DEPLOY / "kubernetes" / "cpu", DEPLOY / "kubernetes" / "gpu"


def load(path):
    return yaml.safe_load(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def app():
    metrics = Metrics()
    app = create_app(FakeRuntime(), metrics=metrics)
    metrics.observe_batch("m", BatchRecord(size=3, source_tokens=9, output_tokens=5, seconds=0.2))
    app.test_client().post("/v1/translate", json={"text": "a", "target": "fr"})
    return app


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_yaml_can_be_read_and_has_no_key_twice(path):
    def keys(node):
        if isinstance(node, yaml.MappingNode):
            names = [key.value for key, _ in node.value if key.value != "<<"]
            assert len(names) == len(set(names)), (path.name, names)
        for child in node.value if isinstance(node.value, list) else ():
            for each in child if isinstance(child, tuple) else (child,):
                keys(each)

    keys(yaml.compose(path.read_text("utf-8")))


def test_settings_are_those_that_there_are():
    paths = [*YAML, DEPLOY / "env.sample", DEPLOY / "nginx.conf"]
    used = set(chain.from_iterable(re.findall(rf"{PREFIX}\w+", path.read_text("utf-8")) for path in paths))
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert used <= known
    given = {name: load(CPU / "configmap.yaml")["data"].get(name) for name in used}
    Settings(**{name.removeprefix(PREFIX).lower(): value for name, value in given.items() if value})


def test_secrets_are_in_no_file():
    server = load(DEPLOY / "compose.yml")["services"]["dragoman-1"]["environment"]
    assert server["DRAGOMAN_CALLBACK_SECRET"] is None
    assert "${POSTGRES_PASSWORD:?" in server["DRAGOMAN_DATABASE"]
    assert re.findall(r"^POSTGRES_PASSWORD=(.*)$", (DEPLOY / "env.sample").read_text(), re.MULTILINE) == [""]
    listed = load(CPU / "kustomization.yaml")["resources"]
    assert not any("secret" in name for name in listed)


def test_manifests_fit_together():
    assert {path.name for path in CPU.glob("*.yaml")} == {
        *load(CPU / "kustomization.yaml")["resources"],
        "kustomization.yaml",
    }
    by_kind = {each["kind"]: each for each in map(load, CPU.glob("*.yaml"))}
    pods = by_kind["Deployment"]["spec"]["template"]
    (container,) = pods["spec"]["containers"]
    for selector in (
        by_kind["Deployment"]["spec"]["selector"]["matchLabels"],
        by_kind["Service"]["spec"]["selector"],
        by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= pods["metadata"]["labels"].items()
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pods["spec"]["volumes"]
    }
    timeout_s = Settings.model_fields["request_timeout_s"].default
    assert pods["spec"]["terminationGracePeriodSeconds"] > timeout_s
    compose = load(DEPLOY / "compose.yml")["services"]
    assert int(compose["dragoman-1"]["stop_grace_period"].removesuffix("s")) > timeout_s
    for name in ("deployment.yaml", "hpa.yaml"):  # a patch of nothing would be a resource of its own
        assert load(GPU / name)["metadata"]["name"] == load(CPU / name)["metadata"]["name"]


def test_probes_are_answered(app):
    probes = re.findall(r"path: (/\w+)", (CPU / "deployment.yaml").read_text())
    assert set(probes) == {"/healthz", "/readyz"}
    client = app.test_client()
    assert all(client.get(path).status_code == 200 for path in probes)


def test_metrics_are_those_that_there_are(app):
    families = text_string_to_metric_families(app.test_client().get("/metrics").text)
    known = {}
    for sample in chain.from_iterable(family.samples for family in families):
        known.setdefault(sample.name, set()).update(sample.labels, {"instance", "job"})
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text("utf-8"))
    rules = load(DEPLOY / "alerts.yml")["groups"][0]["rules"]
    hpas = [load(folder / "hpa.yaml")["spec"]["metrics"] for folder in (CPU, GPU)]
    scaling = [each["pods"]["metric"]["name"] for each in chain.from_iterable(hpas)]
    texts = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    texts += [rule["expr"] for rule in rules] + scaling
    assert len(texts) > 20
    for text in texts:
        names = re.findall(r"\bdragoman_\w+", text)
        labels = {*re.findall(r"(\w+) *(?:=~|!~|!=|=)(?!=)", text), *_grouped(text)}
        assert names or "up{" in text
        for name in names:
            assert name in known, text
            assert labels <= known[name], text
    rule = load(DEPLOY / "kubernetes" / "prometheus-adapter.yaml")["rules"]["custom"][0]["seriesQuery"]
    pattern = re.search(r'__name__=~"([^"]+)"', rule)[1]
    assert all(re.fullmatch(pattern, name) for name in scaling)


def _grouped(text):
    named = re.findall(r"by \(([^)]*)\)", text)
    return {label.strip() for group in named for label in group.split(",")}


def test_nginx_takes_as_long_bodies_as_the_servers(app):
    """To nginx a body that the server breaks off looks like a server that fails."""
    text = (DEPLOY / "nginx.conf").read_text("utf-8")
    ordinary, long = (int(size) << 20 for size in re.findall(r"client_max_body_size (\d+)m;", text))
    most, longest = max_body_bytes(Settings()), max_body_bytes(job_limits(Settings()))
    assert most <= ordinary < most + DISCARD_BYTES
    assert longest <= long < longest + DISCARD_BYTES
    limits, pattern = app.extensions["body_limits"], re.search(r"location ~ (\S+) \{", text)[1]
    for path in {rule.rule for rule in app.url_map.iter_rules()}:
        is_long = limits.most_bytes("POST", path) == limits.longest
        assert bool(re.search(pattern, path)) == is_long, path


@pytest.mark.skipif(NGINX is None, reason="no nginx")
def test_nginx_reads_its_configuration(tmp_path):
    done = subprocess.run(
        [NGINX, "-t", "-e", "stderr", "-c", nginx_configuration(tmp_path, 8079, [8080, 8081])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr
