"""Webhook secrets change while pushes come in."""

import pytest

from support.delivery import push
from support.hooks import SECRET

NEXT, AFTER_NEXT = "6" * 64, "7" * 64


@pytest.fixture
def rotate(hooks, app):
    def change(secret):
        hooks.secrets.put_secret_value(SecretId=f"berth/hooks/{app}", SecretString=secret)
    return change


def test_a_new_secret_works_at_once_and_the_one_before_still_does(hooks, app, rotate):
    assert hooks.deliver(app, push()).status == 202

    rotate(NEXT)

    assert hooks.deliver(app, push(), secret=NEXT).status == 202
    assert hooks.deliver(app, push(), secret=SECRET).status == 202


def test_the_secret_before_the_one_before_is_refused(hooks, app, rotate):
    rotate(NEXT)
    rotate(AFTER_NEXT)

    assert hooks.deliver(app, push(), secret=AFTER_NEXT).status == 202
    assert hooks.deliver(app, push(), secret=NEXT).status == 202
    assert hooks.deliver(app, push(), secret=SECRET).status == 401


def test_a_genuine_push_is_taken_while_forgeries_come_in(hooks, app):
    for _ in range(20):
        assert hooks.deliver(app, push(), secret=NEXT).status == 401
        assert hooks.deliver(app, push()).status == 202


def test_an_app_s_secret_is_asked_for_once(hooks, app):
    hooks.deliver(app, push())
    calls = hooks.secret_calls()

    for _ in range(20):
        assert hooks.deliver(app, push()).status == 202

    assert hooks.secret_calls() == calls
