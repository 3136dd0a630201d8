"""Many at once."""

import concurrent.futures
import threading
import uuid

import pytest

from support.delivery import encode, push
from support.hooks import SECRET
from support.parts import BUILD


def at_once(count, work):
    """work(number) in so many threads that all start together; the results."""
    barrier = threading.Barrier(count)

    def run(number):
        barrier.wait()
        return work(number)
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_the_same_delivery_posted_32_times_at_once_makes_one_release(hooks, app):
    payload, delivery = encode(push()), str(uuid.uuid4())

    answers = at_once(32, lambda _: hooks.deliver(app, payload, delivery=delivery))

    assert sorted(answer.status for answer in answers) == [200] * 31 + [202]
    assert {answer.json["release"] for answer in answers} == {1}
    assert hooks.releases(app) == [1]


def test_the_same_push_under_32_delivery_ids_at_once_makes_one_release(hooks, app):
    payload = encode(push())

    answers = at_once(32, lambda _: hooks.deliver(app, payload))

    assert sorted(answer.status for answer in answers) == [200] * 31 + [202]
    assert hooks.releases(app) == [1]
    assert sorted(hooks.deliveries(app).values()) == ["accepted"] + ["duplicate"] * 31


def test_64_clients_at_once_are_all_served(hooks):
    apps = [hooks.make_app(f"crowd-{n}", f"acme/crowd-{n}", known=n == 7) for n in range(8)]

    def client(number):
        app = apps[number % 8]
        with hooks.poster() as poster:
            return [poster.deliver(app, SECRET, push(f"acme/{app}", 100 + number % 8)) for _ in range(10)]
    answers = [answer for each in at_once(64, client) for answer in each]

    assert [answer for answer in answers if answer.status != 202] == []
    for app in apps:
        assert hooks.releases(app) == list(range(1, 81))


def test_large_deliveries_at_once_are_all_taken(hooks, app):
    bodies = [encode(push(padding="x" * (6 << 20))) for _ in range(12)]

    answers = at_once(12, lambda number: hooks.deliver(app, bodies[number]))

    assert {answer.status for answer in answers} == {202}


@pytest.mark.skipif(b"__asan" in (BUILD / "berth-fcgi").read_bytes() or b"__tsan" in (BUILD / "berth-fcgi").read_bytes(),
                    reason="a sanitizer's memory says nothing of ours")
def test_large_deliveries_take_bounded_memory_and_give_it_back(own_hooks):
    hooks = own_hooks()
    app = hooks.make_app("shop")
    commit = push()["commits"][0]
    bodies = [encode(push(more=[commit] * 48000)) for _ in range(8)]
    assert 20 << 20 < len(bodies[0]) < 25 << 20

    answers = at_once(8, lambda number: hooks.deliver(app, bodies[number]))

    assert {answer.status for answer in answers} <= {202, 503}  # 503: others were before it
    assert hooks.responder.memory_kib("VmHWM") < 600 * 1024
    assert hooks.responder.memory_kib("VmRSS") < 100 * 1024


def test_forged_large_bodies_do_not_keep_small_genuine_pushes_out(hooks, app):
    forged = b"x" * (20 << 20)
    stop = threading.Event()

    def forge():
        while not stop.is_set():
            assert hooks.deliver(app, forged, secret="8" * 64).status == 401
    threads = [threading.Thread(target=forge) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        statuses = [hooks.deliver(app, push()).status for _ in range(10)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert statuses == [202] * 10


def test_workers_are_woken_for_what_was_committed(hooks, app):
    with hooks.postgres.listen("berth_releases") as heard:
        hooks.deliver(app, push())

        assert heard.within(5)
