"""Reading the settings for a command: what is wrong is said by variable, without the value."""

import os
from collections.abc import Mapping
from typing import Any

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_settings import SettingsError

from mcpbox.domain.errors import Invalid
from mcpbox.settings import Settings


def load_settings(**overrides: Any) -> Settings:
    """Settings from ``MCPBOX_*`` variables and ``.env``; ``overrides`` win.

    Raises:
        Invalid: names each variable and what is wrong with it.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = [_sentence(problem) for problem in error.errors(include_input=False)]
        raise Invalid("\n".join(problems)) from None
    except SettingsError as error:
        raise Invalid(f"The settings could not be read: {error}") from None
    except UnicodeDecodeError:
        raise Invalid("The file .env in this directory is not UTF-8 text.") from None


def sandbox_variables() -> dict[str, str]:
    """The sandbox's own settings, from where ours come from too; it reads no ``.env`` itself."""
    variables = {**dotenv_values(".env"), **os.environ}
    return {
        name: value
        for name, value in variables.items()
        if name.startswith("MCPBOX_SANDBOX_") and value is not None
    }


def _sentence(problem: Mapping[str, Any]) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    return f"MCPBOX_{str(problem['loc'][0]).upper()}: {message}"
