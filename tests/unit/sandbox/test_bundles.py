from sandbox.bundles import Bundles, Registered
from sandbox.contract import Bundle
from sandbox.hosts import HostGrants


def registered(code: str) -> Registered:
    bundle = Bundle(code=code)
    return Registered(bundle.key, bundle, HostGrants(()), None)


def test_the_one_used_longest_ago_is_forgotten_first() -> None:
    bundles = Bundles(max_count=2)
    first, second, third = map(registered, ("1", "2", "3"))
    bundles.add(first)
    bundles.add(second)
    assert bundles.find(first.key, trial=True) is first

    bundles.add(third)

    assert bundles.find(second.key, trial=True) is None
    assert bundles.find(first.key, trial=True) is first
    assert bundles.find(third.key, trial=True) is third


def test_bytes_are_bounded_too_but_the_newest_always_stays() -> None:
    bundles = Bundles(max_bytes=100)
    small, large = registered("x" * 60), registered("y" * 500)

    bundles.add(small)
    bundles.add(large)

    assert bundles.find(small.key, trial=True) is None
    assert bundles.find(large.key, trial=True) is large


def test_adding_one_again_counts_once() -> None:
    bundles = Bundles(max_bytes=100)
    one, other = registered("x" * 40), registered("y" * 40)

    for _ in range(5):
        bundles.add(one)
    bundles.add(other)

    assert len(bundles) == 2
