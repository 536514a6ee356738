"""The documentation page in a real browser: drawn under its own policy, from this server alone."""

import re
from pathlib import Path

from http_fakes import FakeRuntime
from openapi_spec_validator import OpenAPIV31SpecValidator
from playwright.sync_api import expect
from test_server import ServerProcess
from web_page import chromium, needs_chromium

from service.http.app import create_app


def test_every_route_of_the_compatible_interfaces_is_documented() -> None:
    app = create_app(FakeRuntime())
    made = app.test_client().get("/docs/compatible.json").json
    OpenAPIV31SpecValidator(made).validate()
    documented = {(method, path) for path, methods in made["paths"].items() for method in methods}
    routes = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if app.view_functions[rule.endpoint].__module__.startswith("service.http.compat")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    gets_of_posts = {("get", path) for method, path in routes if method == "post"}
    posts_of_gets = {("post", "/v2/languages"), ("post", "/v2/usage")}
    assert documented <= routes
    assert routes - documented <= gets_of_posts | posts_of_gets


def test_examples_of_the_compatible_interfaces_are_answered() -> None:
    client = create_app(FakeRuntime()).test_client()
    made = client.get("/docs/compatible.json").json
    for path in ("/v2/translate", "/translate", "/detect"):
        content = made["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert client.post(path, json=content["example"]).status_code == 200


@needs_chromium
def test_the_page_shows_the_routes_and_tries_one(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    said: list[str] = []
    asked: list[str] = []
    try:
        with chromium() as browser:
            page = browser.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda request: asked.append(request.url))
            page.goto(f"http://127.0.0.1:{server.port}/docs")
            route = page.locator("#operations-translations-post_v1_translate")
            route.get_by_role("button").first.click()
            route.get_by_role("button", name="Try it out").click()
            route.get_by_role("button", name="Execute").click()
            expect(route.locator(".live-responses-table")).to_contain_text("THE MINISTERS MET IN VIENNA")
            other = page.locator("#compatible #operations-LibreTranslate-post_translate")
            other.get_by_role("button").first.click()
            other.get_by_role("button", name="Try it out").click()
            other.get_by_role("button", name="Execute").click()
            expect(other.locator(".live-responses-table")).to_contain_text("translatedText")
            page.emulate_media(color_scheme="dark")
            expect(page.locator("html")).to_have_class("dark-mode")
    finally:
        server.kill()
    assert all(url.startswith((f"http://127.0.0.1:{server.port}/", "data:")) for url in asked)
    assert said == []
