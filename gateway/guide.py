"""How a tool is written here, for the model that writes one: a resource, and part of a prompt."""

from mcpbox.domain.tools import CODE_MAX_BYTES
from sandbox.contract import DEFAULT_MODULES, RunLimits

_LIMITS = RunLimits()
_MIB = 2**20

GUIDE = f"""\
# Write a tool for MCPbox

A tool is one piece of Python with an `async def main(...)`:

```python
async def main(city: str, days: int = 3) -> dict:
    \"\"\"Forecast for a city.\"\"\"
    answer = await http.get("https://api.example.org/v1/forecast", params={{"q": city}})
    answer.raise_for_status()
    return {{"days": answer.json()["days"][:days]}}
```

## Parameters and result

- The input schema is read from the signature: annotate every parameter; a default makes one
  optional.
- `*args` is refused. Arguments are checked before the code runs.
- Return what JSON can hold, best a dictionary: callers get it as structured content.
- Raise `ValueError("what is wrong, and what to do")` for bad input: the caller reads the message.

## What the code finds

- `http`: an `httpx.AsyncClient`. It reaches only granted hosts that stand in the code in full, so
  write URLs as literals and put no host together while the code runs.
- `secrets["NAME"]`: a stand-in that becomes the value on its way to the secret's hosts, in a header
  for instance. Never ask anybody for a value, and never put one into the code.
- `print`: goes to the log, and to a client that asked for progress.
- No files, no processes, no other network; nothing is kept from one call to the next.

## Modules

Without asking: {", ".join(sorted(DEFAULT_MODULES))}, httpx, pydantic, typing_extensions.
`mcpbox_get_server_modules` lists what a server has besides; ask for more with
`mcpbox_request_module`, or in `modules` of `mcpbox_request_publish`.

## Limits of a call

{_LIMITS.memory_bytes // _MIB} MB of memory, {_LIMITS.wall_s:.0f} s in all, \
{_LIMITS.stdout_bytes // 1024} KB of output, {_LIMITS.result_bytes // _MIB} MB of result; \
{CODE_MAX_BYTES // 1024} KB of code.

## The way to a released tool

1. `mcpbox_list_servers`, or `mcpbox_create_server`: tools of one server share its grants.
2. `mcpbox_validate_code`: all findings at once, with line and column.
3. `mcpbox_create_tool`: say in `description` what it does and when to use it, in the words that
   somebody would search with, and set `annotations` honestly; people compare both with the code.
4. `mcpbox_test_code` runs it. A host that is not granted yet fails there: that is expected.
5. `mcpbox_request_publish` with `notes` for the reviewer and harmless `sample_arguments`.
6. `mcpbox_wait_for_request`; when changes are wanted, `mcpbox_update_tool` and
   `mcpbox_revise_request`. Nothing that you do can approve a request.

## What reviewers look at

- One purpose, as little access as it needs, and no way for data to leave that the purpose lacks.
- Code that can be read: no encoded text, no dynamic imports, no attribute tricks.
- A description that says all that the tool does.
"""
