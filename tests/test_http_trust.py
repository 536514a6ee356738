"""/v1/check and /v1/clean over HTTP, with the real checks and the real reading."""

import pytest
from http_fakes import FakeRuntime, settings

from models.checker import CheckRequest
from service.http.app import create_app

SOURCE = (
    "The ministers met in Vienna on Sunday. They signed 14 agreements, and 300 people were there. "
    "Nobody spoke about the border crossing."
)
PASTED = f"Ministers meet\nMinisters meet\n\n{SOURCE}\n\nLeave a Reply"


def _post(path: str, **body: object):
    return create_app(FakeRuntime(settings(max_request_characters=5000))).test_client().post(path, json=body)


def test_a_wrong_number_is_flagged_where_it_stands() -> None:
    output = "The ministers met in Vienna. They signed 41 agreements."
    answer = _post("/v1/check", source=SOURCE, output=output, kind="summary").json
    first, second = answer["sentences"]
    assert (first["text"], first["flags"]) == ("The ministers met in Vienna.", [])
    (flag,) = second["flags"]
    assert (flag["kind"], output[flag["start"] : flag["end"]]) == ("number", "41")
    evidence = second["evidence"][0]
    assert "14 agreements" in SOURCE[evidence["start"] : evidence["end"]]
    assert (answer["kind"], answer["source_language"], answer["target"]) == ("summary", "en", "en")


def test_a_translation_that_lost_a_number_is_flagged() -> None:
    answer = _post(
        "/v1/check",
        source="Three hundred and 12 people came.\nSee https://example.org/a today.",
        output="Des gens sont venus.\nVoir https://example.org/b aujourd'hui.",
        kind="translation",
        source_language="en",
        target="fr",
    ).json
    kinds = [{flag["kind"] for flag in sentence["flags"]} for sentence in answer["sentences"]]
    assert kinds[0]
    assert kinds[1]


def test_a_check_ends_at_its_deadline() -> None:
    """Thousands of names: seconds of work, which is given up at the first pause after the deadline."""
    letters = str.maketrans("0123456789", "abcdefghij")
    names = [f"Bar{i:05d} Zed{i:05d}".translate(letters) for i in range(4000)]
    source = " ".join(f"He met {name}." for name in names)
    summary = " ".join(f"He met {name}." for name in names[::12])
    runtime = FakeRuntime(settings(max_request_characters=200_000, request_timeout_s=0.1))
    client = create_app(runtime).test_client()
    for kind, output in (("summary", summary), ("translation", source)):
        answer = client.post("/v1/check", json={"source": source, "output": output, "kind": kind})
        assert answer.status_code == 504, kind
    assert runtime.timeouts_s == [pytest.approx(0.1, abs=0.1)] * 2


def test_a_check_pauses_again_and_again() -> None:
    """One pause a check is too few: at each the deadline is looked at, and a check may take seconds."""
    checker = FakeRuntime(settings()).checker
    text = " ".join(f"He met Anna Smith {i} times in Paris." for i in range(200))
    for kind in ("summary", "translation"):
        steps = checker.steps(CheckRequest(source=text, output=text, kind=kind))
        assert sum(each is None for each in steps) > 200, kind


def test_what_is_wrong_with_a_check_is_named() -> None:
    wrong = _post("/v1/check", source=SOURCE, output=" ", kind="summary")
    assert (wrong.status_code, wrong.json["field"]) == (422, "output")
    wrong = _post("/v1/check", source="a" * 5001, output="a", kind="summary")
    assert (wrong.status_code, wrong.json["field"]) == (413, "source")
    wrong = _post("/v1/check", source="a", output="a", kind="poem")
    assert (wrong.status_code, wrong.json["allowed"]) == (422, ["summary", "translation"])
    wrong = _post("/v1/check", source="a", output="a", kind="translation", target="xx")
    assert (wrong.status_code, wrong.json["field"]) == (422, "target")


def test_clean_gives_the_article_alone() -> None:
    answer = _post("/v1/clean", text=PASTED).json
    assert answer == {
        "title": "Ministers meet",
        "text": SOURCE,
        "dropped": [
            {"text": "Ministers meet", "reason": "repeated headline"},
            {"text": "Leave a Reply", "reason": "reply form"},
        ],
    }


def test_clean_reads_a_page() -> None:
    html = f"<html><body><nav><a href='/'>Home</a></nav><h1>Meet</h1><p>{SOURCE}</p></body></html>"
    answer = _post("/v1/clean", html=html).json
    assert SOURCE in answer["text"]
    assert "Home" not in answer["text"]


def test_clean_takes_one_of_text_and_html() -> None:
    wrong = _post("/v1/clean", text="a", html="b")
    assert (wrong.status_code, wrong.json["allowed"]) == (422, ["text", "html"])
    assert _post("/v1/clean", html="<p></p>").json["field"] == "html"
