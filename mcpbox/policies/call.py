"""May this tool be called by this principal now? Invariant I1 in one function."""

from datetime import datetime

from mcpbox.domain.calls import CallableTool
from mcpbox.domain.errors import Refused
from mcpbox.domain.manifests import ungranted_hosts
from mcpbox.domain.people import Principal, Scope
from mcpbox.domain.servers import DesiredState
from mcpbox.policies.ruling import ALLOWED, Ruling


def may_list(tool: CallableTool, now: datetime) -> Ruling:
    """Nothing quarantined, server running, tool enabled, digest as approved, with a receipt.

    Every needed grant is live; that the release is active is a fact of being in the catalog.
    """
    for noun, name, quarantined in (
        ("server", tool.server_name, tool.server_quarantined),
        ("tool", tool.name, tool.quarantined),
    ):
        if quarantined:
            return Ruling(
                Refused(
                    f"The {noun} {name!r} is quarantined; nothing of it runs until an admin lifts "
                    "that."
                )
            )
    if tool.server_state is not DesiredState.RUNNING:
        return Ruling(
            Refused(
                f"The server {tool.server_name!r} is stopped; start it with mcpbox_start_server."
            )
        )
    if not tool.enabled:
        return Ruling(Refused(f"The tool {tool.name!r} is disabled."))
    if tool.version.digest != tool.approved_digest:
        return Ruling(
            Refused(f"The code of {tool.name!r} is not what was approved; publish it again.")
        )
    if tool.receipt is None:
        return Ruling(
            Refused(f"The release of {tool.name!r} has no approval receipt; publish it again.")
        )
    return _holds_its_grants(tool, now)


def may_call(tool: CallableTool, caller: Principal, now: datetime) -> Ruling:
    if Scope.CALL not in caller.scopes:
        return Ruling(Refused("This client's token lacks the scope 'call'; make one that has it."))
    if caller.servers and tool.server_name not in caller.servers:
        return Ruling(
            Refused(
                f"This client's token is for tools of {', '.join(sorted(caller.servers))} alone; "
                "make one that may call more."
            )
        )
    return may_list(tool, now)


def _holds_its_grants(tool: CallableTool, now: datetime) -> Ruling:
    # What ends by itself has ended, even where its timer or the news of it are late.
    granted = tool.granted.live_at(now)
    missing = ungranted_hosts(tool.version.manifest, granted.hosts)
    if missing:
        return Ruling(
            Refused(
                f"{tool.name!r} needs the hosts {', '.join(missing)}, which are not granted any "
                "more; ask for them with mcpbox_request_network_access."
            )
        )
    ungranted = sorted(set(tool.version.manifest.modules) - granted.modules)
    if ungranted:
        return Ruling(
            Refused(
                f"{tool.name!r} needs the modules {', '.join(ungranted)}, which are not granted "
                "any more; ask for them with mcpbox_request_module."
            )
        )
    unusable = sorted(set(tool.version.manifest.secret_names) - granted.secrets)
    if unusable:
        return Ruling(
            Refused(
                f"{tool.name!r} needs the secrets {', '.join(unusable)}, which its server may not "
                "use; ask for them with mcpbox_request_secret."
            )
        )
    unset = sorted(set(tool.version.manifest.secret_names) - tool.secrets.keys())
    if unset:
        return Ruling(
            Refused(
                f"{tool.name!r} needs the secrets {', '.join(unset)}, which have no value yet; a "
                "person sets it in the panel, on the page of the server."
            )
        )
    return ALLOWED
