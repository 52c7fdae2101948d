# SPDX-License-Identifier: MIT
"""A service whose event loop stands still, twice, and nobody can tell why from its code.

    pillion record -o loop.pillion -- python3 examples/asyncio_service.py
    pillion report --lines --view wall --thread main loop.pillion

Three kinds of request, and a client for each. `quote` waits as it should: with await. `stock`
asks a warehouse with a library that is not made for asyncio: it blocks, and all others with it.
`summary` computes for a tenth of a second without an await, to the same effect. So a quote that
takes 20 ms takes 200.

The thread of an event loop may wait in one place alone, epoll_wait: there it is idle. Every
other wait below a coroutine, and every long computation there, is time that nobody is served.
`await asyncio.to_thread(ask_warehouse)` is the cure. Runs for about three seconds.
"""
import asyncio
import hashlib
import socket
import threading
import time

REQUESTS = 15
WAREHOUSE_SECONDS, QUOTE_SECONDS = 0.08, 0.02


def warehouse(listener):
    """Somebody else's server, in a thread: slow to answer."""
    while True:
        client, _ = listener.accept()
        with client:
            if client.recv(100) == b"close":
                return
            time.sleep(WAREHOUSE_SECONDS)
            client.sendall(b"17 pieces")


def ask_warehouse(address, question=b"stock?"):
    """Blocks: fine in a thread, fatal in a coroutine."""
    with socket.create_connection(address) as connection:
        connection.sendall(question)
        return connection.recv(100)


async def quote(address):
    await asyncio.sleep(QUOTE_SECONDS)
    return b"12.50"


async def stock(address):
    return ask_warehouse(address)


async def summary(address):
    digest = b"all that was sold"
    for _ in range(100_000):
        digest = hashlib.sha256(digest).digest()
    return digest.hex().encode()


HANDLERS = {b"quote\n": quote, b"stock\n": stock, b"summary\n": summary}


async def serve(address, reader, writer):
    while line := await reader.readline():
        writer.write(await HANDLERS[line](address) + b"\n")
        await writer.drain()
    writer.close()


async def ask(port, line):
    """Returns the longest time, in seconds, that an answer took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    longest = 0
    for _ in range(REQUESTS):
        begin = time.monotonic()
        writer.write(line)
        await reader.readline()
        longest = max(longest, time.monotonic() - begin)
    writer.close()
    return longest


async def ask_all(port):
    return await asyncio.gather(*(ask(port, line) for line in HANDLERS))


async def main(address):
    server = await asyncio.start_server(lambda *streams: serve(address, *streams), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    # The clients have a loop and a thread of their own: theirs does not stand still.
    longest = await asyncio.to_thread(asyncio.run, ask_all(port))
    server.close()
    print("a quote takes %d ms, and took up to %d" % (QUOTE_SECONDS * 1000, longest[0] * 1000))


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        thread = threading.Thread(target=warehouse, args=(listener,))
        thread.start()
        asyncio.run(main(address))
        ask_warehouse(address, b"close")
        thread.join()
