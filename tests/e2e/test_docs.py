"""The documentation names what there is: neither an option that is missing, nor one that is gone."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `([a-z]+\.[a-z_]+)` \| `([A-Z_]+)` \|([^|]*)\|([^|]+)\|$", re.MULTILINE)


@pytest.fixture(autouse=True)
def every_request_passed_the_gate():
    """Nothing here asks anything of AWS, so no stack is needed for it."""


def berth(*words):
    program = pathlib.Path(os.environ.get("BERTH_BUILD", TOP / "build")) / "berth"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("BERTH_", "AWS_"))}
    return subprocess.run([program, *words], env=clean, capture_output=True, text=True, check=True).stdout


def options_of_the_binary():
    return {f"{option['section']}.{option['key']}": option for option in json.loads(berth("config", "--json"))["options"]}


def options_of_the_page():
    text = (TOP / "docs" / "configuration.md").read_text(encoding="utf-8")
    return {name: {"environment": environment, "default": default.strip("` "), "meaning": meaning} for name, environment, default, meaning in ROW.findall(text)}


def test_an_option_that_the_configuration_page_lacks_is_found():
    page = options_of_the_page()

    assert set(options_of_the_binary()) - set(page) == set()


def test_the_configuration_page_names_no_option_that_is_gone():
    page = options_of_the_page()

    assert len(page) > 20
    assert set(page) - set(options_of_the_binary()) == set()


def test_the_configuration_page_has_each_options_environment_variable_and_default():
    page = options_of_the_page()

    wrong = [
        name for name, option in options_of_the_binary().items()
        if page[name]["environment"] != option["environment"]
        or (page[name]["default"] != (option.get("value") or "") and name != "aws.region")
    ]

    assert wrong == []


@pytest.mark.parametrize("page", ["berth.1", "berth-fcgi.8"])
def test_a_man_page_is_well_formed(page):
    if not shutil.which("groff"):
        pytest.fail("groff is not here; it checks the man pages (Debian: groff-base)")

    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", TOP / "docs" / page], capture_output=True, text=True, check=False)

    assert done.returncode == 0
    assert done.stderr == ""


def commands_of_the_binary():
    """Of `berth --help`: each in a column of 14 characters."""
    return {line[2:16].strip() for line in berth("--help").split("\n\n")[2].splitlines()}


def test_the_man_page_names_every_command_of_the_binary():
    commands = commands_of_the_binary()
    text = (TOP / "docs" / "berth.1").read_text(encoding="utf-8")

    missing = [command for command in commands if not re.search(rf'^\.B[RI]? "?{command}\b', text, re.MULTILINE)]

    assert len(commands) > 5
    assert missing == []


def options_of(command):
    """Of `berth COMMAND --help`, without those of every command."""
    usage = berth(*command.split(), "--help").split("\n\n", maxsplit=1)[0]
    return set(re.findall(r"--[a-z-]+", usage)) - {"--config", "--json"}


def test_the_man_page_names_every_option_of_every_command_beside_it():
    text = (TOP / "docs" / "berth.1").read_text(encoding="utf-8").replace("\\-", "-")
    heads = {line for line in text.splitlines() if line.startswith((".B ", ".BR "))}
    options = {command: options_of(command) for command in commands_of_the_binary()}

    missing = [(command, option) for command, all_of_them in options.items() for option in sorted(all_of_them)
               if not any(re.match(rf'\.BR? "?{command}\b', line) and option in line for line in heads)]

    assert sum(map(len, options.values())) > 20
    assert missing == []


def test_the_man_page_of_the_responder_names_every_address_of_the_pages():
    text = (TOP / "docs" / "berth-fcgi.8").read_text(encoding="utf-8").replace("\\-", "-")
    routes = re.findall(r'"(GET|POST)",\s*"([^"]+)"', (TOP / "fcgi" / "admin_routes.c").read_text(encoding="utf-8"))

    assert len(routes) > 20
    assert [route for route in routes if not re.search(rf'{route[0]} {re.escape(route[1])}("|$)', text, re.MULTILINE)] == []


def without_what_is_missing(text):
    """The README names what is not there yet, too."""
    return re.sub(r"^## What is not there yet$.*?(?=^## )", "", text, flags=re.MULTILINE | re.DOTALL)


def test_every_command_that_an_error_a_page_or_the_documentation_names_is_there():
    commands = commands_of_the_binary()
    alone = {command for command in commands if " " not in command}
    groups = {command.split()[0] for command in commands if " " in command}
    places = [TOP / "README.md", *(TOP / "docs").glob("*.md"), *(TOP / "www").rglob("*.html")]
    places += [path for folder in ("core", "fcgi", "sql") for path in (TOP / folder).rglob("*.*")]

    named = {(*found, str(path.relative_to(TOP))) for path in places
             for found in re.findall(r"(?:`|<code[^>]*>)berth ([a-z]+)(?: ([a-z]+))?", without_what_is_missing(path.read_text(encoding="utf-8")))}
    wrong = [name for name in sorted(named)
             if name[0] not in alone and f"{name[0]} {name[1]}" not in commands and not (name[0] in groups and not name[1])]

    assert {("apps", "resume"), ("quota", "set")} <= {name[:2] for name in named}
    assert wrong == []


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{path.name}" for path in (TOP / "docs").glob("*.md"))])
def test_every_file_that_a_page_links_to_is_there(page):
    path = TOP / page
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8"))

    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_source_file_that_the_readme_names_is_there():
    text = (TOP / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:core|fcgi|sql|www|script|tests|docs)/[A-Za-z0-9_./-]+)`", text))

    assert len(named) > 20
    assert [name for name in sorted(named) if not (TOP / name).exists()] == []
