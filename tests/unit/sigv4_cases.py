"""Signing cases with botocore as the oracle, each stage by itself.

`python tests/unit/sigv4_cases.py > tests/fixtures/sigv4_cases.json` makes the fixture that test_aws_sigv4.c reads;
test_sigv4_cases.py checks that botocore still says the same.
"""
import datetime
import json
import random
import sys
from unittest import mock
from urllib.parse import quote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

SEED = 20150830
HOST = "example.amazonaws.com"
STAMP = "20240229T235959Z"
SECRETS = ["wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "a", "+/=" * 20]
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCWV1LXdlc3QtMSJHMEUCIQ=="
PATHS = ["/", "/a", "/a/", "//", "/a//b", "/./a/../b", "/a/b/..", "/..", "/a%20b", "/a b", "/~tilde", "/é/ü", "/a+b=c&d",
         "/%2F", "/a;b,c:d@e!f$g'h(i)*j", "/日本/語", "/.well-known/...", "/a/.b/..c/d..", "/%e1%88%b4", "/a?b".replace("?", "%3F")]
S3_KEYS = ["a", "a/b", "a//b", "./a", "a/../b", "a b", "é", "a+b", "tenants/shop/0123abcd.zip", "a=b&c", "~", "a%b", "日本/語.zip", "/a", "a/"]
QUERIES = [[], [("a", "b")], [("b", "2"), ("a", "1")], [("a", "2"), ("a", "1")], [("a", "")], [("", "")], [("uploads", "")],
           [("partNumber", "10"), ("uploadId", "x.y_z-~/+=")], [("a b", "c d")], [("é", "ü")], [("+", "+")], [("A", "1"), ("a", "2"), ("B", "3")],
           [("a-b", "1"), ("a", "2"), ("a.b", "3"), ("a=b", "4")], [("x", "&"), ("y", "="), ("z", "%")], [("日本", "語")], [("a", "/"), ("a", "~"), ("a", "-")]]
HEADERS = [[], [("X-Amz-Target", "Service.Op")], [("Content-Type", "application/x-amz-json-1.1")], [("my-header", "  inner   spaces\tand tabs  ")],
           [("My-Header", "one"), ("My-Header", "two")], [("X-Z", "1"), ("X-A", "2"), ("x-m", "3")], [("Zebra", ""), ("alpha", "\"quoted   text\"")],
           [("X-Amz-Meta-Name", "Grüße")], [("a", "1"), ("a-b", "2"), ("A1", "3")], [("X-Dup", "b"), ("X-Dup", "a"), ("X-Dup", "c")]]
BODIES = ["", "{}", "Action=GetCallerIdentity&Version=2011-06-15", "ü" * 40, "x" * 1000]
SERVICES = [("ecs", "eu-west-1"), ("iam", "us-east-1"), ("elasticloadbalancing", "cn-north-1"), ("sts", "us-gov-west-1")]


def now(*_args, **_options):
    """botocore asks the clock; here it always says the same."""
    return datetime.datetime.strptime(STAMP, "%Y%m%dT%H%M%SZ")


def encode(text, safe=""):
    return quote(text, safe=safe + "-_.~")


def case(method, path, pairs, headers, body, secret, token, service, region, s3=False):
    query = "&".join(f"{encode(k)}={encode(v)}" for k, v in pairs)
    signer = (S3SigV4Auth if s3 else SigV4Auth)(Credentials("AKIDEXAMPLE", secret, token), service, region)
    request = AWSRequest(method=method, url=f"https://{HOST}{path}" + (f"?{query}" if query else ""), data=body.encode())
    request.headers = HTTPHeaders()
    for name, value in [("Host", HOST)] + headers:
        request.headers.add_header(name, value)
    seen = {}
    for stage in ("canonical_request", "string_to_sign", "signature"):
        keep(signer, stage, seen)
    with mock.patch("botocore.auth.get_current_datetime", now):
        signer.add_auth(request)
    sent = [[name, value] for name, value in request.headers.items() if name != "Authorization"]
    assert request.headers["X-Amz-Date"] == STAMP
    return {"method": method, "path": path, "query": query, "headers": sent, "payload_hash": signer.payload(request),
            "secret": secret, "service": service, "region": region, "date": STAMP, "s3": s3,
            "authorization": request.headers["Authorization"], **seen}


def keep(signer, stage, seen):
    inner = getattr(signer, stage)

    def outer(*args, **kwargs):
        seen[stage] = inner(*args, **kwargs)
        return seen[stage]

    setattr(signer, stage, outer)


def cases():
    pick = random.Random(SEED)
    plain = [("/", q, [], "") for q in QUERIES] + [(p, [], [], "") for p in PATHS] + [("/", [], h, "") for h in HEADERS]
    plain += [("/", [], [], b) for b in BODIES]
    plain += [(pick.choice(PATHS), pick.choice(QUERIES), pick.choice(HEADERS), pick.choice(BODIES)) for _ in range(30)]
    out = [case(pick.choice(["GET", "POST"]), p, q, h, b, pick.choice(SECRETS), pick.choice([None, TOKEN]), *pick.choice(SERVICES))
           for p, q, h, b in plain]
    for key in S3_KEYS:
        out.append(case("PUT", "/" + encode(key, "/"), pick.choice(QUERIES), pick.choice(HEADERS), pick.choice(BODIES),
                        pick.choice(SECRETS), pick.choice([None, TOKEN]), "s3", "eu-west-1", s3=True))
    return out


if __name__ == "__main__":
    json.dump(cases(), sys.stdout, indent=0, ensure_ascii=False, sort_keys=True)
    sys.stdout.write("\n")
