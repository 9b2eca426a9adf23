"""Two servers on one machine, each with its own data directory: both have a network, and neither's functions reach the other's."""

import concurrent.futures

from test_network import HOST, INTERNET, INTERNET6, fetch, probing, world  # noqa: F401 (a fixture)

OWN = ("text = open('/proc/net/fib_trie').read().split()\n"
       "result = sorted({word for word in text if word.startswith('100.') and not word.endswith('.0.0')})")
LISTEN = ("import socket\ns = socket.create_server(('0.0.0.0', 7777))\ns.settimeout(8)\ntry:\n    s.accept()\n    result = 'reached'\n"
          "except OSError:\n    result = 'alone'\n")


def knock(addresses):
    """A snippet that tries every address for as long as the other may be on its way."""
    return ("import socket, time\nresult, end = 'refused', time.monotonic() + 3\nwhile time.monotonic() < end and result == 'refused':\n"
            f"    for address in {addresses!r}:\n        try:\n            socket.create_connection((address, 7777), timeout=1).close()\n"
            "            result = 'reached ' + address\n        except OSError:\n            pass\n")


def test_both_have_a_network_and_neither_reaches_the_others_functions(world, places, python_image):  # noqa: F811
    with probing(world, places) as first:
        with probing(world, places) as second:
            for run in (first, second):
                assert run(fetch(INTERNET)) == HOST
                assert not run(fetch(INTERNET6)).startswith("refused")
            addresses = [address for address in first(OWN) if not address.endswith(".255.255")]
            assert addresses and not set(addresses) & set(second(OWN))
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                listening = pool.submit(first, LISTEN)
                assert second(knock(addresses)) == "refused"
                assert listening.result() == "alone"
        # The first goes on when the second is gone.
        assert first(fetch(INTERNET)) == HOST
