"""The committed signing cases are what botocore says today."""
import json
import pathlib

import sigv4_cases

FIXTURE = pathlib.Path(__file__).parent.parent / "fixtures" / "sigv4_cases.json"


def test_the_committed_cases_are_those_that_botocore_makes():
    committed = json.loads(FIXTURE.read_text(encoding="utf-8"))

    made = json.loads(json.dumps(sigv4_cases.cases()))

    assert made == committed


def test_the_cases_cover_what_is_easily_signed_wrong():
    made = sigv4_cases.cases()

    assert any(case["s3"] and "//" in case["path"] for case in made)
    assert any("%2520" in case["canonical_request"] for case in made)
    assert any("x-amz-security-token" in case["canonical_request"] for case in made)
    assert any("a=1&a=2" in case["canonical_request"] for case in made)
