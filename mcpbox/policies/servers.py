"""Who may change how a server's tools are run, and which servers have tools of ours."""

from mcpbox.domain.errors import Refused
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.domain.servers import Server, ServerKind
from mcpbox.policies.ruling import ALLOWED, Ruling


def may_set_isolation(principal: Principal) -> Ruling:
    """It decides what calls can see of each other, so no client ever does."""
    if principal.kind is not PrincipalKind.PERSON:
        return Ruling(Refused("Only people choose how a server's calls are isolated."))
    if Role.ADMIN not in principal.roles:
        return Ruling(
            Refused("Choosing how calls are isolated needs the role admin; ask an admin for it.")
        )
    return ALLOWED


def may_write_tools(server: Server) -> Ruling:
    """What an external source says of its tools is what people approve, and nothing else is."""
    if server.kind is ServerKind.EXTERNAL:
        return Ruling(
            Refused(
                f"{server.name!r} passes its calls on to another MCP server, which alone says what "
                "its tools are. Write your own in a server of yours (mcpbox_create_server)."
            )
        )
    return ALLOWED
