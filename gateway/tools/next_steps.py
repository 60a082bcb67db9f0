"""What an LLM is told to do next, for each kind of request in each state."""

from mcpbox.domain.requests import State
from mcpbox.domain.subjects import Kind


def next_step(kind: Kind, state: State) -> str:
    return _AFTER[kind](state)


def _after_publish(state: State) -> str:
    match state:
        case State.GATHERING:
            return "The evidence is being gathered; a person decides after that. Ask again later."
        case State.AWAITING_DECISION:
            return "A person has to decide; ask again later."
        case State.CHANGES_REQUESTED:
            return "Change the tool with mcpbox_update_tool, then call mcpbox_revise_request."
        case State.APPROVED | State.APPLYING:
            return "It was approved and is being applied; the tool appears in a moment."
        case State.APPLIED:
            return "It is released: clients can call it while its server runs."
        case State.DENIED | State.VETOED:
            return "Do not ask again unchanged: mend what the reason says, then ask again."
        case State.APPLY_FAILED:
            return "It was approved but could not be applied: read the reason, then ask again."
        case State.WITHDRAWN | State.EXPIRED:
            return "It ended without a decision; ask again with mcpbox_request_publish."
        case State.SUPERSEDED:
            return "A newer request took its place: see mcpbox_get_tool_status."


def _after_module(state: State) -> str:
    match state:
        case State.GATHERING:
            return "Its packages are being looked into; a person decides after that."
        case State.AWAITING_DECISION:
            return "A person has to decide; ask again later."
        case State.CHANGES_REQUESTED:
            return "Read what is wanted, then ask for it with mcpbox_request_module."
        case State.APPROVED | State.APPLYING:
            return "It was approved and is being installed."
        case State.APPLIED:
            return "The server's tools may import it; try it with mcpbox_test_code."
        case State.DENIED | State.VETOED:
            return "Read the reason; do without it, or ask for another module or version."
        case State.APPLY_FAILED:
            return "It was approved but could not be installed: read the reason, then ask again."
        case State.WITHDRAWN | State.EXPIRED | State.SUPERSEDED:
            return "It ended without a decision; ask again with mcpbox_request_module."


def _after_host(state: State) -> str:
    match state:
        case State.GATHERING:
            return "It is being looked into; a person decides after that."
        case State.AWAITING_DECISION:
            return "A person has to decide; ask again later."
        case State.CHANGES_REQUESTED:
            return "Read what is wanted, then ask with mcpbox_request_network_access."
        case State.APPROVED | State.APPLYING:
            return "It was approved and is being granted."
        case State.APPLIED:
            return "The server's tools reach it where their code names it; try mcpbox_test_code."
        case State.DENIED | State.VETOED:
            return "Read the reason; do without it, or ask for less of it."
        case State.APPLY_FAILED:
            return "It was approved but could not be granted: read the reason, then ask again."
        case State.WITHDRAWN | State.EXPIRED | State.SUPERSEDED:
            return "It ended without a decision; ask with mcpbox_request_network_access."


def _after_secret(state: State) -> str:
    if state is State.APPLIED:
        return "The server's tools may use it once a person has set its value."
    return _after_host(state).replace("mcpbox_request_network_access", "mcpbox_request_secret")


def _after_release(state: State) -> str:
    match state:
        case State.GATHERING:
            return "The evidence is being gathered; a person decides after that. Ask again later."
        case State.AWAITING_DECISION:
            return "A person has to decide; ask again later."
        case State.CHANGES_REQUESTED:
            return "Read what is wanted; a version is not changed, so publish a newer one."
        case State.APPROVED | State.APPLYING:
            return "It was approved and is being applied."
        case State.APPLIED:
            return "It is released again: clients can call it while its server runs."
        case State.DENIED | State.VETOED:
            return "Read the reason; mend the tool with mcpbox_update_tool instead."
        case State.APPLY_FAILED:
            return "It was approved but could not be applied: read the reason, then ask again."
        case State.WITHDRAWN | State.EXPIRED | State.SUPERSEDED:
            return "It ended without a decision; see mcpbox_list_tool_versions and ask again."


_AFTER = {
    Kind.PUBLISH: _after_publish,
    Kind.MODULE_GRANT: _after_module,
    Kind.HOST_GRANT: _after_host,
    Kind.SECRET_BINDING: _after_secret,
    Kind.ROLLBACK: _after_release,
    Kind.RESTORE: _after_release,
}
