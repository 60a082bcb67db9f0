"""What an LLM is told to do next about an external source."""

from collections.abc import Iterator

from mcpbox.domain.external_sources import ExternalSource, Offer, SourceDetail, SourceState
from mcpbox.domain.upstreams import Authentication, HttpEndpoint


def steps_for(source: ExternalSource) -> Iterator[str]:
    endpoint, server = source.endpoint, f"server_id {source.server_id}"
    if isinstance(endpoint, HttpEndpoint):
        access = endpoint.access
        port = f", port {access.port}" if access.port else ""
        path = f" and path_prefix {access.path_prefix}" if access.path_prefix else ""
        yield (
            f"Ask for its host: mcpbox_request_network_access with {server}, host {access.host}"
            f"{port}, methods {', '.join(access.methods)}{path}."
        )
        if endpoint.secret_name is not None:
            yield (
                f"Make the place of its secret: mcpbox_create_server_secret with {server}, name "
                f"{endpoint.secret_name} and hosts [{access.authority}]"
                + (
                    ", with the host where people sign in for it besides, where that is another."
                    if endpoint.authentication is Authentication.OAUTH
                    else "."
                )
            )
            yield (
                f"Ask that it may be used: mcpbox_request_secret with name {endpoint.secret_name}."
            )
            yield (
                "A person connects the source in the panel, on its page."
                if endpoint.authentication is Authentication.OAUTH
                else "A person sets its value in the panel; never ask for it yourself."
            )
        if not endpoint.secure:
            yield "An admin has to consent to an address without TLS, in the panel."
    else:
        module = endpoint.manifest.modules[0]
        yield f"Ask for its module: mcpbox_request_module with {server} and module {module}."
    yield (
        "When people have granted that, look at what it offers: mcpbox_discover_external_tools "
        f"with source_id {source.id}."
    )
    yield "Ask for the tools that are needed: mcpbox_import_external_tools."


def after_looking(source: SourceDetail) -> str:
    if source.blocked:
        return source.blocked
    if source.state is not SourceState.HEALTHY:
        return f"{source.problem} Try again later."
    if any(tool.offer in (Offer.NEW, Offer.CHANGED) for tool in source.tools):
        return "Ask for those that are needed with mcpbox_import_external_tools."
    if any(tool.offer is Offer.ASKED for tool in source.tools):
        return "People decide about what was asked for: mcpbox_list_pending_requests."
    return ""
