// Prints messages that the zlib of Chromium has compressed, which Node.js has: see zlib.py.
import { createHash } from "node:crypto";
import zlib from "node:zlib";

const times = Number(process.argv[2] ?? 1);
const { constants: z } = zlib;
let text = "";
for (let n = 1; text.length < 600 * times; n++) {
  text += JSON.stringify({ action: "update", id: (n * 2654435761) >>> 0, name: `customer ${(n * 40503) % 977} é`, price: ((n * 7919) % 10007) / 100 });
}
const all = Buffer.from(text);

// As ws for Node.js does: one flush at the end, or one for each part.
for (const [strategy, name] of [[z.Z_DEFAULT_STRATEGY, "default"], [z.Z_HUFFMAN_ONLY, "huffman only"], [z.Z_RLE, "rle"], [z.Z_FIXED, "fixed"]]) {
  for (const [level, memLevel, each] of [[-1, 8, all.length], [1, 8, all.length], [9, 9, all.length], [6, 8, 100], [6, 1, 10], [1, 8, 33]]) {
    const deflate = zlib.createDeflateRaw({ level, memLevel, strategy, flush: z.Z_SYNC_FLUSH });
    const out = [];
    deflate.on("data", (part) => out.push(part));
    for (let at = 0; at < all.length; at += each) {
      deflate.write(all.subarray(at, at + each));
      await new Promise((done) => deflate.flush(z.Z_SYNC_FLUSH, done));
    }
    const packed = Buffer.concat(out);
    if (packed.subarray(-4).toString("hex") !== "0000ffff") throw new Error(name);
    console.log([`Chromium's zlib, level ${level}, memory ${memLevel}, writes of ${each}, ${name}`, createHash("sha256").update(all).digest("hex"), packed.subarray(0, -4).toString("base64")].join("\t"));
  }
}
