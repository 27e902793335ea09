"""Sends texts to a gateway that echoes them, with the client "websockets", which compresses
each message. Writes one line of JSON, as compression.mjs does.

    compression.py <URL> <lengths>
"""

import asyncio
import json
import sys

import websockets


async def main(url, *lengths):
    texts = [('{"action":"say","text":"hello €"},' * int(n))[: int(n)] for n in lengths]
    async with websockets.connect(url) as socket:
        names = ", ".join(extension.name for extension in socket.extensions)
        for text in texts:
            await socket.send(text)
        same = [await socket.recv() == text for text in texts]
    print(json.dumps({"extensions": names, "same": same, "code": socket.close_code}))


asyncio.run(main(*sys.argv[1:]))
