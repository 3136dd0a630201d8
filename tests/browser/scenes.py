"""What there is to see: every page of the routes' table, and each in the states that look different: full, empty, refused, previewed, changed by somebody else."""

import dataclasses
import hashlib
import hmac
import pathlib
import re
import time
import urllib.parse

from support import fleet

TOP = pathlib.Path(__file__).resolve().parents[2]
ROUTE = re.compile(r'\{ "(GET|POST)",\s*"([^"]+)",(.*?)(?=\n    \{ "|\n\};)', re.S)


@dataclasses.dataclass(frozen=True)
class Scene:
    name: str
    path: str
    empty: bool = False       # of an installation without an app
    user: str = "operator"
    form: str = ""            # where the form on that page is sent that leads to the scene; none: the page as it is
    fields: tuple = ()        # what is written into it before
    button: str = ""          # the value of its button "do"
    expired: bool = False     # the page was open for too long
    meanwhile: str = ""       # SQL: what another operator does while the page is open
    afterwards: str = ""      # SQL: so that the next scene finds the fleet as it was
    status: int = 200
    wait: str = ""            # a selector that shows up later
    alike: bool = False       # another scene looks the same but for words: two of the four looks are enough

    def __str__(self):
        return self.name


def _limits_changed(app, column, before, after):
    return (f"UPDATE berth.quotas SET {column} = {after} WHERE app_name = '{app}'; INSERT INTO berth.audit_log (actor, action, app_name, before, after) "
            f"""VALUES ('ines', 'limits.set', '{app}', '{{"{column}": {before}}}', '{{"{column}": {after}}}');""")


_CPU = ("/apps/invoice-api/limits", "/apps/invoice-api/limits")
_DELIVERY = f"/apps/parcel-tracker/deliveries/{fleet.delivery_id(2)}"

SCENES = [
    Scene("overview", "/"),
    Scene("overview-failed", "/?only=failed", alike=True),
    Scene("overview-none-found", "/?q=nothing-like-it"),
    Scene("overview-none-in-condition", "/?only=queued&q=parcel"),
    Scene("first-run", "/", empty=True),

    Scene("app-failed", "/apps/parcel-tracker"),
    Scene("app-moving", "/apps/invoice-api"),
    Scene("app-live", "/apps/pricing", alike=True),
    Scene("app-fresh", "/apps/chat-bridge"),
    Scene("app-over-quota", "/apps/thumbnailer"),
    Scene("app-paused", "/apps/webhooks-demo"),
    Scene("app-going-away", "/apps/old-blog"),
    Scene("app-notice", "/apps/pricing?done=rolled-back&v=11&to=9"),
    Scene("app-older-releases", "/apps/pricing?before=2", alike=True),
    Scene("app-settings-wrong", "/apps/pricing", form="/apps/pricing/settings", fields=(("port", "http"), ("branch", "wip/next")), button="save", status=422),
    Scene("app-settings-conflict", "/apps/pricing", form="/apps/pricing/settings", fields=(("tasks", "3"),), button="save", status=409,
          meanwhile="UPDATE berth.apps SET tasks = 4 WHERE app_name = 'pricing'; INSERT INTO berth.audit_log (actor, action, app_name, before, after) "
                    """VALUES ('ines', 'app.update', 'pricing', '{"tasks": 1}', '{"tasks": 4}');""",
          afterwards="UPDATE berth.apps SET tasks = 1 WHERE app_name = 'pricing'"),
    Scene("app-destroy-wrong", "/apps/pricing", form="/apps/pricing/destroy", fields=(("confirm", "prices"),), status=422),
    Scene("app-rollback-too-late", "/apps/pricing", form="/apps/pricing/rollback", expired=True, status=403),
    Scene("app-deploy-too-late", "/apps/pricing", form="/apps/pricing/deploy", expired=True, status=403, alike=True),
    Scene("app-cancel-refused", "/apps/pricing", form="/apps/pricing/cancel", status=409, alike=True),
    Scene("app-two-under-way", "/apps/invoice-api", form="/apps/invoice-api/cancel", status=409,
          meanwhile="INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, commit_title, pushed_by) "
                    "VALUES ('invoice-api', 11, 'push', 'queued', 'source', repeat('d', 40), 'Round per line, not per invoice', 'teo'); "
                    "UPDATE berth.apps SET last_release = 11 WHERE app_name = 'invoice-api'",
          afterwards="DELETE FROM berth.releases WHERE app_name = 'invoice-api' AND number = 11; "
                     "UPDATE berth.apps SET last_release = 10 WHERE app_name = 'invoice-api'"),
    Scene("app-pause-too-late", "/apps/pricing", form="/apps/pricing/pause", expired=True, status=403, alike=True),
    Scene("app-resume-too-late", "/apps/webhooks-demo", form="/apps/webhooks-demo/resume", expired=True, status=403, alike=True),

    Scene("release-failed", "/apps/parcel-tracker/releases/10"),
    Scene("release-moving", "/apps/invoice-api/releases/10"),
    Scene("release-queued", "/apps/docs/releases/10"),
    Scene("release-live", "/apps/pricing/releases/10"),
    Scene("release-superseded", "/apps/search-index/releases/9"),
    Scene("release-building", "/apps/search-index/releases/10"),
    Scene("log-failed", "/apps/parcel-tracker/releases/10/log"),
    Scene("log-building", "/apps/search-index/releases/10/log"),
    Scene("log-first-lines", "/apps/mail-relay/releases/10/log?from=1", alike=True),
    Scene("log-none", "/apps/pricing/releases/10/log"),

    Scene("deliveries", "/deliveries"),
    Scene("deliveries-none-found", "/deliveries?q=nothing-like-it"),
    Scene("deliveries-none", "/deliveries", empty=True),
    Scene("delivery", _DELIVERY),
    Scene("delivery-over-quota", f"/apps/thumbnailer/deliveries/{fleet.delivery_id(6)}"),
    Scene("delivery-run-again-too-late", _DELIVERY, form=f"{_DELIVERY}/run-again", expired=True, status=403, alike=True),

    Scene("limits", "/limits"),
    Scene("limits-none", "/limits", empty=True),
    Scene("limits-wrong", "/limits", form="/limits", fields=(("cpu_units", ""), ("memory_mib", "8 GB"), ("tasks", "30")), button="preview", status=422),
    Scene("limits-effect", "/limits", form="/limits", fields=(("cpu_units", "8192"), ("pushes_burst", "20")), button="preview"),
    Scene("app-limits", "/apps/invoice-api/limits"),
    Scene("app-limits-defaults", "/apps/pricing/limits"),
    Scene("app-limits-wrong", *_CPU[:1], form=_CPU[1], fields=(("cpu_units", "4096"), ("memory_mib", "8 GB"), ("tasks", "8"), ("pushes_per_hour", "120")),
          button="preview", status=422),
    Scene("app-limits-effect", *_CPU[:1], form=_CPU[1], fields=(("cpu_units", "4096"), ("memory_mib", "4096"), ("tasks", "8"), ("build_minutes", "240"), ("pushes_per_hour", "120")),
          button="preview"),
    Scene("app-limits-conflict", *_CPU[:1], form=_CPU[1], fields=(("cpu_units", "6144"),), button="save", status=409,
          meanwhile=_limits_changed("invoice-api", "cpu_units", 3072, 4096), afterwards=_limits_changed("invoice-api", "cpu_units", 4096, 3072)),
    Scene("app-limits-notice", "/apps/invoice-api/limits?done=limits-saved&app=invoice-api"),

    Scene("load-balancers", "/load-balancers"),
    Scene("load-balancers-of-one", "/load-balancers?listener=" + urllib.parse.quote(fleet.OTHER_LISTENER)),
    Scene("load-balancers-none-found", "/load-balancers?app=chat-bridge"),
    Scene("load-balancers-none", "/load-balancers", empty=True),

    Scene("audit", "/audit"),
    Scene("audit-narrowed", "/audit?actor=ines&action=limits.set"),
    Scene("audit-none-found", "/audit?app=chat-bridge"),
    Scene("audit-none", "/audit", empty=True),

    Scene("doctor", "/doctor", wait=".checks"),
    Scene("doctor-too-late", "/doctor", form="/doctor/check", expired=True, status=403, wait=".checks", alike=True),

    Scene("message-not-found", "/apps/nobody", status=404),
    Scene("message-no-operator", "/", user="visitor", status=403),
]


LOOKS = [(360, "light"), (360, "dark"), (1440, "light"), (1440, "dark")]


def looks(one):
    return LOOKS[1:3] if one.alike else LOOKS


def scene(name):
    return next(one for one in SCENES if one.name == name)


# ---- The routes' table ----

def routes():
    """(method, pattern, PAGE, REPLY or CHANGE) of each row."""
    rows = [(method, pattern, re.search(r"\b(PAGE|REPLY|CHANGE)\(", rest).group(1))
            for method, pattern, rest in ROUTE.findall((TOP / "fcgi" / "admin_routes.c").read_text())]
    assert len(rows) > 20, "the table in admin_routes.c is written in another way now"
    return rows


def matches(pattern, path):
    return re.fullmatch(re.sub(r"\{[a-z]+\}", "[^/]+", pattern), path.split("?")[0]) is not None


def shows(one, route):
    method, pattern, _ = route
    return matches(pattern, one.form) if method == "POST" else not one.form and not one.alike and one.status == 200 and matches(pattern, one.path)


# ---- Going there ----

FILL = """
((action, fields, button, token) => {
  const form = [...document.forms].find((f) => f.method === "post" && new URL(f.action).pathname === action);
  for (const [name, value] of fields) form.elements[name].value = value;
  if (token) form.elements.csrf.value = token;
  form.requestSubmit(button ? [...form.elements].find((e) => e.name === "do" && e.value === button) : null);
})
"""


def late_token(pages, form, user):
    """One that was good until a moment ago."""
    key = bytes.fromhex(pages.postgres.one("SELECT encode(key, 'hex') FROM berth.admin_keys"))
    expires_ms = int(time.time() * 1000) - 1
    signed = f"{len(user)}:{user} {len(form)}:{form} {expires_ms}"
    return f"{expires_ms}.{hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()}"


def form_name(path):
    """As the token is made for it."""
    source = (TOP / "fcgi" / "admin_routes.c").read_text()
    for method, pattern, rest in ROUTE.findall(source):
        if method == "POST" and matches(pattern, path):
            return re.search(r'\.form = "([a-z_]+)"', rest).group(1)
    raise AssertionError(f"no route takes {path}")


def go(browser, pages, one):
    """Opens the scene; its form is sent by script: that it can be sent by keys is another test's."""
    browser.open(pages.url + one.path, pages.sign_in(one.user))
    if one.wait:
        until = time.monotonic() + 30
        while not browser.evaluate(f"document.querySelector({one.wait!r}) !== null"):
            assert time.monotonic() < until, f"{one.wait} never shows up on {one.path}"
            time.sleep(0.5)
            browser.open(pages.url + one.path, pages.sign_in(one.user))
    if one.form:
        _send(browser, pages, one)
    status = browser.document_status()
    assert status == one.status, f"{one.name}: {status}\n" + browser.evaluate("document.body.innerText")[:1500]


def _send(browser, pages, one):
    token = late_token(pages, form_name(one.form), one.user) if one.expired else ""
    if one.meanwhile:
        pages.postgres.sql(one.meanwhile)
    try:
        browser.next_page(lambda: browser.evaluate(f"{FILL}({one.form!r}, {[list(field) for field in one.fields]!r}, {one.button!r}, {token!r}); 0"))
    finally:
        if one.afterwards:
            pages.postgres.sql(one.afterwards)
