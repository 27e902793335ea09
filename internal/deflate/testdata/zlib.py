"""Prints messages that zlib has compressed: python3 zlib.py >zlib.txt && node zlib.mjs >>zlib.txt

Each line has a name, the SHA-256 of the message, and its compressed form in base64. With a
number as argument, all messages are so many times as long.
"""
import base64, hashlib, random, sys, zlib

TIMES = int(sys.argv[1]) if len(sys.argv) > 1 else 1
STRATEGIES = {"default": 0, "filtered": 1, "huffman only": 2, "rle": 3, "fixed": 4}
FLUSHES = {"sync": zlib.Z_SYNC_FLUSH, "full": zlib.Z_FULL_FLUSH, "partial": zlib.Z_PARTIAL_FLUSH, "block": zlib.Z_BLOCK}


def text(size):
    rnd = random.Random(1)
    words = "order room price update message customer gateway received hello".split()
    out = ""
    while len(out) < size * TIMES:
        out += '{"id":"%08x","user":"%s","text":"%s é","at":%d,"price":%.2f},' % (
            rnd.getrandbits(32), rnd.choice(words), rnd.choice(words), 1700000000000 + rnd.getrandbits(30), rnd.random() * 1000)
    return out.encode()[:size * TIMES]


def show(name, data, level=6, strategy=0, flush=zlib.Z_NO_FLUSH, each=None, bits=15, memory=8):
    c = zlib.compressobj(level, zlib.DEFLATED, -bits, memory, strategy)
    out = b""
    for at in range(0, len(data), each or len(data)):
        out += c.compress(data[at:at + (each or len(data))])
        if flush != zlib.Z_NO_FLUSH:
            out += c.flush(flush)
    out += c.flush(zlib.Z_SYNC_FLUSH)  # adds nothing after a flush of the same kind
    if not out.endswith(b"\0\0\xff\xff"):
        raise Exception(name)
    print("zlib, " + name, hashlib.sha256(data).hexdigest(), base64.b64encode(out[:-4]).decode(), sep="\t")


for level in range(10):
    for name, strategy in STRATEGIES.items():
        if TIMES > 1 or strategy == 0 or level in (1, 9):
            show(f"level {level}, {name}", text(400), level, strategy)
for name, flush in FLUSHES.items():
    for level in range(10) if TIMES > 1 else (0, 1, 6):
        for each in (1, 7, 60):
            show(f"level {level}, flush {name} each {each}", text(120), level, 0, flush, each)
for each in (1, 20, 150):
    for name, strategy in STRATEGIES.items():
        show(f"writes of {each}, {name}", text(500), 6, strategy, zlib.Z_SYNC_FLUSH, each)
show("many small blocks", text(12000), memory=1)
show("a small window", text(3000), bits=9)
show("what cannot be compressed", random.Random(2).randbytes(500 * TIMES))
show("zeros", bytes(100000 * TIMES), 9)
