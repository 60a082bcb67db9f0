from mcpbox.usecases.development import trial_of
from sandbox.contract import EgressRecord, RunResult


def test_a_trial_tells_each_request_in_a_line() -> None:
    records = (
        EgressRecord(
            method="POST",
            host="api.x.org",
            status=201,
            sent_bytes=12,
            received_bytes=340,
            duration_ms=81.6,
        ),
        EgressRecord(method="GET", host="api.x.org", duration_ms=5000),
        EgressRecord(method="GET", host="evil.test", refused="it is not granted"),
        EgressRecord(method="", host="", refused="… and 12 more"),
    )

    assert trial_of(RunResult(ok=True, egress=records)).egress == (
        "POST api.x.org: 201, 12 B sent, 340 B received, 82 ms",
        "GET api.x.org: no answer, 0 B sent, 0 B received, 5000 ms",
        "GET evil.test: refused: it is not granted",
        "… and 12 more",
    )
