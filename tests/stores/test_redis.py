"""`redis://`: used proofs in a real Valkey. One process here; several stand in test_workers.py."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from strongdm_auth import ConfigurationError, Settings
from strongdm_auth.replay import ReplayStoreFull
from strongdm_auth.stores import open_store
from strongdm_auth.stores.recollection import StoreForgot
from strongdm_auth.stores.redis import AsyncRedisStore, RedisStore, StoreAway

from .conftest import Valkey, free_port

OWNER = "o" * 43
Use = Callable[..., bool]


def _key() -> bytes:
    return os.urandom(16)


@pytest.fixture(params=["threads", "event loop"])
def open_url(request: pytest.FixtureRequest) -> Any:
    """Opens a store by its URL; gives its `first_use`, for a proof of this moment unless told otherwise."""
    closing = []

    def open_it(url: str, **options: Any) -> Use:
        if request.param == "threads":
            store = RedisStore(url, **options)
            closing.append(store.close)
            ask = store.first_use
        else:
            runner = asyncio.Runner()
            loop_store = AsyncRedisStore(url, **options)
            closing.append(lambda: (runner.run(loop_store.aclose()), runner.close()))

            def ask(*arguments: Any) -> bool:
                return runner.run(loop_store.first_use(*arguments))

        def use(key: bytes, owner: str = OWNER, issued_at: float | None = None) -> bool:
            now = time.time()
            return ask(key, owner, (now if issued_at is None else issued_at) + 60, now)

        return use

    yield open_it
    for close in closing:
        close()


def test_a_proof_is_new_once(valkey: Valkey, open_url: Any) -> None:
    one, other, key = open_url(valkey.url), open_url(valkey.url), _key()
    assert [one(key), one(key), other(key), other(_key()), one(_key())] == [True, False, False, True, True]


def test_50_threads_with_one_proof_get_one_first_use(valkey: Valkey) -> None:
    store, start = RedisStore(valkey.url, quota=1_000_000), threading.Barrier(50)
    keys, now = [_key() for _ in range(50)], time.time()

    def use(_: int) -> list[bool]:
        start.wait(10)
        return [store.first_use(key, OWNER, now + 60, now) for key in keys]

    # More threads than connections would be refused at the pool after a second; as many as there are must not be.
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(use, range(50)))
    store.close()
    assert [sum(each) for each in zip(*answers, strict=True)] == [1] * 50


def test_100_tasks_with_one_proof_get_one_first_use(valkey: Valkey) -> None:
    async def scenario() -> int:
        store, key, now = AsyncRedisStore(valkey.url), _key(), time.time()
        answers = await asyncio.gather(*(store.first_use(key, OWNER, now + 60, now) for _ in range(100)))
        await store.aclose()
        return sum(answers)

    assert asyncio.run(scenario()) == 1


def test_a_proof_is_forgotten_when_it_has_expired_by_itself(valkey: Valkey, open_url: Any) -> None:
    use = open_url(valkey.url)
    now = time.time()
    use(_key(), issued_at=now - 59.5)
    use(_key(), OWNER, now + 30)
    with redis.Redis(port=valkey.port) as client:
        lifetimes = sorted(client.ttl(name) for name in client.scan_iter("strongdm-auth:*:*"))
        assert len(lifetimes) == 2
        assert 1 <= lifetimes[0] <= 2
        assert 90 <= lifetimes[1] <= 92


def test_what_is_stored_tells_nobody_anything(valkey: Valkey, open_url: Any) -> None:
    use, key = open_url(valkey.url), _key()
    use(key, "thumbprint-" + "x" * 32)
    with redis.Redis(port=valkey.port) as client:
        for name in client.scan_iter():
            assert len(name) < 64
            assert key not in name
            assert key.hex().encode() not in name
            assert client.get(name) in (b"", b"1")


def test_one_key_has_a_share_and_others_are_not_touched_by_it(valkey: Valkey, open_url: Any) -> None:
    one, other, replayed = open_url(valkey.url, quota=3), open_url(valkey.url, quota=3), _key()
    assert one(replayed)
    for _ in range(10):  # a thief who replays uses up nothing of the owner's share
        assert not other(replayed)
    assert one(_key())
    assert other(_key())
    for use in (one, other):  # the share is one for all processes
        with pytest.raises(ReplayStoreFull):
            use(_key())
    assert one(_key(), "another owner") is True
    assert not one(replayed)


def test_a_proof_that_was_refused_for_the_share_takes_no_room(valkey: Valkey, open_url: Any) -> None:
    use = open_url(valkey.url, quota=1)
    use(_key())
    for _ in range(20):
        with pytest.raises(ReplayStoreFull):
            use(_key())
    with redis.Redis(port=valkey.port) as client:
        assert client.dbsize() == 2


def test_a_server_that_is_away_lets_nobody_in_and_is_asked_again_when_it_is_back(valkey: Valkey, open_url: Any) -> None:
    use = open_url(valkey.url)
    assert use(_key())
    valkey.kill()
    for _ in range(3):
        with pytest.raises(redis.ConnectionError):
            use(_key())
    valkey.start()
    assert _within(5, lambda: use(_key())), "no restart of ours is needed"


def test_a_server_that_was_never_there_is_used_once_it_comes(open_url: Any, start_valkey: Any) -> None:
    port = free_port()
    use = open_url(f"redis://127.0.0.1:{port}/0")
    with pytest.raises(redis.ConnectionError):
        use(_key())
    start_valkey(port)
    assert _within(5, lambda: use(_key()))


def test_what_a_restarted_server_forgot_is_not_let_in_again(
    valkey: Valkey, open_url: Any, caplog: pytest.LogCaptureFixture
) -> None:
    use, keys = open_url(valkey.url), [_key() for _ in range(20)]
    begun = time.time()
    assert all(use(key, issued_at=begun - age) for age, key in enumerate(keys))
    valkey.kill()
    valkey.start()
    for age, key in enumerate(keys):
        _refused_as_forgotten(use, key, begun - age)
    assert "started anew" in caplog.text
    fresh: list[bytes] = []
    assert _within(10, lambda: fresh.append(_key()) or use(fresh[-1]))
    assert not use(fresh[-1])


def test_a_proof_of_a_client_whose_clock_is_ahead_is_not_let_in_again_either(valkey: Valkey, open_url: Any) -> None:
    use, key, begun = open_url(valkey.url), _key(), time.time()
    assert use(key, issued_at=begun + 20)
    valkey.kill()
    valkey.start()
    _refused_as_forgotten(use, key, begun + 20)


def test_no_proof_whatever_passes_again_where_clients_clocks_are_allowed_for(valkey: Valkey, open_url: Any) -> None:
    """One worker let in a proof that is dated ahead, another one is asked after the restart: it has seen no such clock."""
    one, other = open_url(valkey.url, clients_ahead=30), open_url(valkey.url, clients_ahead=30)
    key, begun = _key(), time.time()
    assert other(_key())
    assert one(key, issued_at=begun + 20)
    valkey.kill()
    valkey.start()
    _refused_as_forgotten(other, key, begun + 20)


def test_a_process_that_starts_after_the_restart_is_told_by_those_that_were_there(
    valkey: Valkey, open_url: Any
) -> None:
    use, key, begun = open_url(valkey.url), _key(), time.time()
    assert use(key, issued_at=begun)
    valkey.kill()
    valkey.start()
    _refused_as_forgotten(use, _key(), begun)
    with pytest.raises(StoreForgot):
        open_url(valkey.url)(key, issued_at=begun)


def test_a_request_that_waited_is_judged_by_when_the_server_forgot(valkey: Valkey) -> None:
    store, key = RedisStore(valkey.url), _key()
    time.sleep(2.5)  # older than what the server's clock, in whole seconds, leaves open
    begun = time.time()
    assert store.first_use(key, OWNER, begun + 60, begun)
    valkey.kill()
    valkey.start()
    # A request that read its clock long ago, and asks now.
    question = store._first_use(key, OWNER, begun + 60, time.time())
    time.sleep(0.5)
    with pytest.raises(StoreForgot):
        store._ask(question)
    store.close()


def test_a_process_that_asks_for_the_first_time_after_a_restart_knows_of_it(valkey: Valkey, open_url: Any) -> None:
    use, idle, key, begun = open_url(valkey.url), open_url(valkey.url), _key(), time.time()
    assert use(key, issued_at=begun)
    time.sleep(2.1)  # the server's clock counts in seconds; less than that is taken for a start of both together
    valkey.kill()
    valkey.start()
    with pytest.raises(StoreForgot):
        idle(key, issued_at=begun)


def test_a_server_that_took_over_may_not_know_all(start_valkey: Any, open_url: Any) -> None:
    """A replica that was there all along, behind the same name: what it had not been sent yet, it does not know."""
    first, second = start_valkey(), start_valkey()
    key, begun = _key(), time.time()
    front = _Forwarder(first.port)
    use = open_url(f"redis://127.0.0.1:{front.port}/0")
    assert use(key, issued_at=begun)
    front.forward_to(second.port)
    _refused_as_forgotten(use, key, begun)
    front.close()


def test_a_server_that_persists_is_still_asked_for_what_came_after(
    start_valkey: Any, open_url: Any, tmp_path: Any
) -> None:
    valkey = start_valkey(data_dir=tmp_path / "data", persist=True, appendonly="yes", appendfsync="always")
    use, key, begun = open_url(valkey.url), _key(), time.time()
    assert use(key, issued_at=begun)
    valkey.kill()
    valkey.start()
    late = time.time() + 2
    assert _within(5, lambda: time.time() > late and use(_key()))
    assert not use(key, issued_at=time.time()), "it came back from the disk"


def test_a_server_that_hangs_costs_one_request_a_second_and_not_each(open_url: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # accepts, and never answers
        use = open_url(f"redis://127.0.0.1:{listener.getsockname()[1]}/0?socket_timeout=0.3")
        with pytest.raises(redis.TimeoutError):
            use(_key())
        begun = time.monotonic()
        for _ in range(20):
            with pytest.raises(StoreAway):
                use(_key())
        assert time.monotonic() - begun < 0.2


def test_a_user_without_the_right_to_ask_for_info_is_enough(
    start_valkey: Any, open_url: Any, caplog: pytest.LogCaptureFixture
) -> None:
    valkey = start_valkey()
    with redis.Redis(port=valkey.port) as client:
        client.acl_setuser(
            "api",
            enabled=True,
            passwords=["+secret"],
            keys=["strongdm-auth:*"],
            commands=["+eval", "+set", "+incr", "+expire", "+del"],
        )
    use, key = open_url(f"redis://api:secret@127.0.0.1:{valkey.port}/0"), _key()
    assert use(key)
    assert not use(key)
    assert "does not say which server it is" in caplog.text
    assert "secret" not in caplog.text


def test_a_wrong_password_is_an_outage_and_stays_unsaid(start_valkey: Any, open_url: Any) -> None:
    valkey = start_valkey()
    with redis.Redis(port=valkey.port) as client:
        client.config_set("requirepass", "right")
    with pytest.raises(redis.RedisError) as caught:
        open_url(f"redis://:wrong@127.0.0.1:{valkey.port}/0")(_key())
    assert "wrong" not in str(caught.value)
    assert open_url(f"redis://:right@127.0.0.1:{valkey.port}/0")(_key())


def test_several_event_loops_one_after_another_and_at_once(valkey: Valkey) -> None:
    store, key, now = AsyncRedisStore(valkey.url), _key(), time.time()

    def use(_: int) -> bool:
        return asyncio.run(store.first_use(key, OWNER, now + 60, now))

    assert [use(0), use(1)] == [True, False]
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(use, range(8))) == 0
    with redis.Redis(port=valkey.port) as client:
        assert _within(5, lambda: len(client.client_list()) == 1), "loops that ended left their connections open"


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey", "valkeys"])
def test_every_scheme_is_opened_without_asking_the_server(scheme: str) -> None:
    settings = Settings(realms="a", audience="x", replay_store=f"{scheme}://user:secret@127.0.0.1:1/2")
    for for_event_loops, kind in ((False, RedisStore), (True, AsyncRedisStore)):
        store = open_store(settings, for_event_loops=for_event_loops)
        assert isinstance(store, kind)
        assert "secret" not in repr(store)
        assert store._options.get("connection_class", redis.Connection) is (
            redis.SSLConnection if scheme.endswith("ss") or scheme == "valkeys" else redis.Connection
        )


@pytest.mark.parametrize(
    "url",
    [
        "redis://:secret@h:port/0",
        "redis://:secret@h/0?socket_timeout=soon",
        "redis://:secret@h/0?no_such_option=secret",
    ],
)
def test_a_wrong_url_is_a_configuration_error_that_keeps_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="redis://host:6379/0") as caught:
        open_store(Settings(realms="a", audience="x", replay_store=url))
    assert "secret" not in str(caught.value)


class _Forwarder:
    """A port that forwards to another, which can change: a service name before two servers."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def forward_to(self, port: int) -> None:
        self._to = port
        self._hang_up()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._hang_up()

    def _hang_up(self) -> None:
        for end in self._open:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._open.clear()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to))
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with source:
        try:
            while octets := source.recv(65_536):
                sink.sendall(octets)
        except OSError:
            pass
        try:
            sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _refused_as_forgotten(use: Use, key: bytes, issued_at: float) -> None:
    with pytest.raises((StoreForgot, redis.ConnectionError)):
        use(key, issued_at=issued_at)  # a loop that was not running since finds its connection dead only now
    with pytest.raises(StoreForgot):
        use(key, issued_at=issued_at)


def _within(seconds: float, attempt: Callable[[], Any]) -> Any:
    """What `attempt` gives, once it gives something and raises nothing."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := attempt():
                return found
        except (redis.RedisError, StoreForgot, StoreAway):
            pass
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)
