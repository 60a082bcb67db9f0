"""What of a version, and of its server's grants, the sandbox is given."""

from mcpbox.domain.calls import CallableTool
from mcpbox.domain.ids import ServerId
from mcpbox.domain.manifests import Granted, Manifest, reachable_hosts
from mcpbox.domain.tools import VersionContent
from mcpbox.domain.upstreams import StdioEndpoint
from sandbox.contract import DEFAULT_MODULES, Bundle, IsolationMode, StdioServer, source_of


def bundle_of(version: VersionContent, server_id: ServerId, granted: Granted) -> Bundle:
    """Never all that its server holds: what nobody saw the code ask for is not its to use."""
    modules = granted_modules(version.manifest, granted)
    return Bundle(
        code=version.code,
        stdio=stdio_of(version),
        modules=modules,
        module_set=granted.module_set if modules else None,
        hosts=reachable_hosts(version.manifest, granted.hosts),
        server=str(server_id),
    )


def released_bundle(tool: CallableTool) -> Bundle:
    """With the receipt that lets the sandbox run it."""
    bundle = bundle_of(tool.version, tool.server_id, tool.granted)
    return bundle.model_copy(
        update={"receipt": tool.receipt, "isolation": IsolationMode(tool.isolation)}
    )


def listing_bundle(endpoint: StdioEndpoint, server_id: ServerId, granted: Granted) -> Bundle:
    """What is tried to learn which tools a server that speaks over stdio has."""
    return Bundle(
        code="",
        stdio=StdioServer(module=endpoint.module, args=endpoint.args),
        modules=granted_modules(endpoint.manifest, granted),
        module_set=granted.module_set,
        server=str(server_id),
    )


def source_of_version(version: VersionContent) -> str:
    """What its receipt covers."""
    return source_of(version.code, stdio_of(version))


def stdio_of(version: VersionContent) -> StdioServer | None:
    upstream = version.passes_to
    if upstream is None or not isinstance(upstream.endpoint, StdioEndpoint):
        return None
    endpoint = upstream.endpoint
    return StdioServer(module=endpoint.module, args=endpoint.args, tool=upstream.tool)


def granted_modules(manifest: Manifest, granted: Granted) -> tuple[str, ...]:
    """Those that the code imports, and may by a grant alone."""
    names = set(manifest.modules) & granted.modules
    return tuple(sorted(names - DEFAULT_MODULES))
