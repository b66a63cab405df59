"""The numbers that the contract and ARCHITECTURE.md name are those in the code: what is read is what is kept."""

from contextlib import suppress
from pathlib import Path

import pytest

from strongdm_auth import dpop, flow, http, introspection, issuers, jose, keys, replay, revocation
from strongdm_auth.jose import Malformed, parse_object
from strongdm_auth.keys import UnusableKeySet, read_key_set
from strongdm_auth.testing import SigningKey

ARCHITECTURE = (Path(__file__).parents[2] / "ARCHITECTURE.md").read_text()

#: A row of the table "What is remembered" -> the numbers in it.
REMEMBERED = {
    "verified tokens": (flow.TOKENS_REMEMBERED,),
    "proof keys": (dpop.KEYS_REMEMBERED, jose.LOADED_KEYS),
    "token headers": (flow.HEADERS_REMEMBERED,),
    "used proofs": (replay.CAPACITY,),
    "introspection answers": (introspection.MOST_ANSWERS,),
    "revoked tokens": (revocation.MOST_REVOCATIONS,),
    "realms": (issuers.MOST_REALMS, issuers.MOST_UNPROVEN_REALMS),
}


@pytest.mark.parametrize("row", REMEMBERED)
def test_what_is_remembered_is_as_much_as_the_table_says(row: str) -> None:
    (cells,) = (line.split("|") for line in ARCHITECTURE.splitlines() if line.startswith(f"| {row}"))
    words = cells[2].replace(";", " ").split()
    assert [word for word in words if word[0].isdigit()] == [f"{number:,}" for number in REMEMBERED[row]]


def test_one_key_has_a_quarter_of_the_used_proofs() -> None:
    assert "a quarter a key" in ARCHITECTURE
    assert replay.QUOTA * 4 == replay.CAPACITY


@pytest.mark.parametrize(("capacity", "quota"), [(replay.CAPACITY, None), (100_000, None), (100_000, 10_000), (0, 0)])
def test_each_part_of_a_store_has_its_share_and_a_quarter_on_top(capacity: int, quota: int | None) -> None:
    """Proofs spread by chance: the quarter is what a part may have more than its share. Whole proofs, at least one."""
    store = replay.MemoryReplayStore(capacity, quota)
    for share, of in (
        (store._shard_capacity, capacity),
        (store._shard_quota, capacity / 4 if quota is None else quota),
    ):
        assert abs(share - 1.25 * of / replay.SHARDS) <= 1
        assert share >= 1


def test_a_part_of_a_store_takes_its_share_to_the_last_proof() -> None:
    store = replay.MemoryReplayStore(capacity=2_560, quota=1_024)  # 10 and a quarter, 4 and a quarter, and one for each
    keys = (key for number in range(10_000) if hash(key := number.to_bytes(16)) % replay.SHARDS == 0)
    taken = {}
    for owner in ("greedy", "modest", "late"):
        taken[owner] = 0
        with suppress(replay.ReplayStoreFull):
            while store.first_use(next(keys), owner, 90, 0):
                taken[owner] += 1
    assert taken == {"greedy": 6, "modest": 6, "late": 1}


def test_invented_realms_share_as_many_loads_as_is_said() -> None:
    assert f"a budget of {issuers.UNPROVEN_FETCHES} loads" in " ".join(ARCHITECTURE.split())


def test_the_sizes_of_the_contract() -> None:
    assert (http.MOST_REPLY_BYTES, keys.MOST_KEYS, dpop.MOST_PROOF_BYTES) == (512 * 1024, 100, 8_192)


def test_a_set_of_exactly_the_most_keys_is_read(key: SigningKey) -> None:
    jwk = key.public_jwk()
    assert len(read_key_set({"keys": [jwk] * 100})) == 100
    with pytest.raises(UnusableKeySet):
        read_key_set({"keys": [jwk] * 101})


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_json_is_read_to_a_depth_of_32(opening: str, closing: str) -> None:
    """The object itself is the first level; a chain of 16 actors has 17."""

    def nested(depth: int) -> bytes:
        inner = depth - 1
        return f'{{"x": {opening * inner}{"" if opening == "[" else "1"}{closing * inner}}}'.encode()

    assert parse_object(nested(32))
    with pytest.raises(Malformed):
        parse_object(nested(33))


def test_many_shallow_members_are_not_deep() -> None:
    assert len(parse_object(b'{"x": [' + b"[]," * 100 + b"{}]}")["x"]) == 101
