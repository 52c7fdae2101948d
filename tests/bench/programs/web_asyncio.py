# SPDX-License-Identifier: MIT
"""An asyncio web application and its clients over loopback: HTTP/1.1 with JSON, in one event loop."""
import asyncio
import json

import common

CLIENTS = 10


def answer(path, body):
    data = json.loads(body) if body else {}
    text = json.dumps({"path": path, "got": data, "squares": [i * i for i in range(120)]})
    return ("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(text), text)).encode()


async def read_message(reader):
    """(first line, body), or None at the end."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    return lines[0], await reader.readexactly(int(headers.get("content-length", 0)))


async def serve(reader, writer):
    try:
        while True:
            first, body = await read_message(reader)
            writer.write(answer(first.split()[1], body))
            await writer.drain()
    except asyncio.IncompleteReadError:
        writer.close()


async def client(port, number, requests):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for i in range(requests):
        body = json.dumps({"client": number, "request": i, "tags": ["a", "b"]}).encode()
        writer.write(b"POST /items/%d HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n%s" % (i, len(body), body))
        first, answered = await read_message(reader)
        if " 200 " not in first or json.loads(answered)["got"]["request"] != i:
            raise RuntimeError("wrong answer: " + first)
    writer.close()


async def load(repeats):
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for _ in range(repeats):
        await asyncio.gather(*(client(port, number, 20) for number in range(CLIENTS)))
        common.mark()
    server.close()


def work(repeats):
    asyncio.run(load(repeats))


if __name__ == "__main__":
    common.run(work, 90, __doc__)
