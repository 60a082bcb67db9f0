"""Migrations, first accounts and clients, as commands against the database of an instance."""

import json
import os
import subprocess
import sys
from typing import Any

from cli.instance import Instance
from mcpbox.settings import Settings
from tests.integration.cli.conftest import Installation


def first_start(running: Installation) -> dict[str, Any]:
    instance = Instance(Settings(data_dir=running.data_dir))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cli.first_start"],
        env={**running.env, **instance.preparation_environment()},
        input="go\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_the_first_start_makes_an_admin_and_a_client_and_the_second_nothing(
    running: Installation,
) -> None:
    made = first_start(running)
    assert made["admin_password"]
    assert made["client_token"]

    assert first_start(running) == {"admin_password": None, "client_token": None}
    clients = json.loads(running.run("clients", "list", "--json").stdout)
    assert [(client["name"], sorted(client["scopes"])) for client in clients] == [
        ("first-client", ["author", "call"])
    ]


def test_migrate_brings_an_up_to_date_database_nowhere(running: Installation) -> None:
    running.run("migrate")
    again = running.run("migrate")

    assert again.returncode == 0
    assert again.stdout == "The database is up to date.\n"


def test_a_client_is_made_once_and_its_token_can_be_revoked(running: Installation) -> None:
    running.run("migrate")
    made = running.run("clients", "create", "laptop", "--scopes", "call", "--json")
    assert made.returncode == 0, made.stderr
    answer = json.loads(made.stdout)
    assert answer["scopes"] == ["call"]
    assert answer["token"]

    again = running.run("clients", "create", "laptop", "--json")
    assert again.returncode == 5
    assert "laptop" in again.stderr

    assert running.run("clients", "revoke", "laptop").returncode == 0
    assert running.run("clients", "revoke", "nobody-knows").returncode == 4


def test_an_unknown_scope_is_a_usage_error(running: Installation) -> None:
    refused = running.run("clients", "create", "boss", "--scopes", "decide")
    assert refused.returncode == 2
    assert "'decide' is no scope" in refused.stderr


def test_commands_without_an_instance_say_that_there_is_none(running: Installation) -> None:
    env = {**running.env, "MCPBOX_DATA_DIR": str(running.data_dir / "elsewhere")}
    for argv in (["migrate"], ["clients", "list"]):
        refused = Installation(running.data_dir, env).run(*argv)
        assert refused.returncode == 4
        assert "no instance" in refused.stderr


def test_a_database_that_does_not_answer_is_said_without_driver_text(
    running: Installation,
) -> None:
    secret = "word-of-the-database"
    env = {**running.env, "MCPBOX_DATABASE_URL": f"postgresql://me:{secret}@127.0.0.1:1/x"}
    refused = Installation(running.data_dir, env).run("migrate")

    assert refused.returncode == 6
    assert refused.stderr.startswith("Postgres is not reachable")
    assert secret not in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_wrong_password_is_said_without_the_password(running: Installation) -> None:
    instance = Instance(Settings(data_dir=running.data_dir))
    url = instance.database_url().get_secret_value()
    password = (running.data_dir / "postgres-app.password").read_text()
    env = {**os.environ, **running.env, "MCPBOX_DATABASE_URL": url.replace(password, "guess")}
    refused = Installation(running.data_dir, env).run("migrate")

    assert refused.returncode == 3
    assert "refuses the user or the password" in refused.stderr
    assert "guess" not in refused.stderr
