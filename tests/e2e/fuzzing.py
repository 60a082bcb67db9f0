"""What the faces are sent that nobody would send."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.e2e.desk import UNKNOWN

PLENTY = settings(
    max_examples=50,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["\x00", "\ud800", UNKNOWN, "sha256:" + "0" * 64, "a" * 3000]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
