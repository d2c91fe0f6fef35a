import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { test } from "node:test";
import fc from "fast-check";
import { ChunkSigner } from "./aws-chunks.ts";
import { EMPTY_SHA256, scopeOf, sha256, signingKey, signText } from "./aws-sigv4.ts";

/** The example of "Transferring payload in multiple chunks" in the Amazon S3 API Reference. */
const scope = { time: "20130524T000000Z", region: "us-east-1", service: "s3" };
const key = signingKey("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", scope);
const SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const SIGNED = [
  [64 * 1024, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"],
  [1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"],
  [0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"],
] as const;
const EXAMPLE = SIGNED.map(
  ([size, signature]) => `${size.toString(16)};chunk-signature=${signature}\r\n${"a".repeat(size)}\r\n`,
).join("");

const held = { key: signingKey("the placeholder", scope), signature: "0".repeat(64) };
const real = { key, signature: SEED };

/** What comes out at the other end for pieces of a body. */
async function pass(pieces: Iterable<Buffer>, guest = real, host = real, hasTrailer = false): Promise<string> {
  const signer = new ChunkSigner({ scope, keyName: "KEY", hasTrailer, guest, host });
  const [out] = await Promise.all([buffer(signer), pipeline(Readable.from(pieces), signer)]);
  return out.toString("latin1");
}

/** A body that a guest has signed. */
function signed(chunks: readonly string[]): string {
  let { signature } = held;
  return chunks
    .map((chunk) => {
      const hashes = [EMPTY_SHA256, sha256(chunk)];
      signature = signText(
        held.key,
        ["AWS4-HMAC-SHA256-PAYLOAD", scope.time, scopeOf(scope), signature, ...hashes].join("\n"),
      );
      return `${chunk.length.toString(16)};chunk-signature=${signature}\r\n${chunk}\r\n`;
    })
    .join("");
}

function cut(text: string, at: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text, "latin1");
  const ends = [0, ...at.map((each) => each % (bytes.length + 1)).sort((one, two) => one - two), bytes.length];
  return ends.slice(1).map((end, index) => bytes.subarray(ends[index], end));
}

test("the example of the documentation is signed as it says, wherever it is cut", async () => {
  assert.equal(await pass([Buffer.from(EXAMPLE)]), EXAMPLE);
  const guest = signed(SIGNED.map(([size]) => "a".repeat(size)));
  const cuts = fc.array(fc.nat({ max: guest.length }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(cuts, async (at) => assert.equal(await pass(cut(guest, at), held), EXAMPLE)),
    { numRuns: 30 },
  );
});

test("no byte can be changed, left out or added", async () => {
  const guest = signed(["abc", "de", ""]);
  const changed = fc.tuple(fc.nat({ max: guest.length - 1 }), fc.integer({ min: 0, max: 255 }));
  await fc.assert(
    fc.asyncProperty(changed, async ([at, byte]) => {
      const other = Buffer.from(guest, "latin1");
      if (other[at] === byte) return;
      other[at] = byte;
      await assert.rejects(pass([other], held));
      await assert.rejects(pass([Buffer.from(guest.slice(0, at))], held));
    }),
    { numRuns: 300 },
  );
  await assert.rejects(pass([Buffer.from(`${guest}x`)], held), /goes on/);
});

test("garbage is refused, and nothing is held without end", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 })),
      fc.boolean(),
      async (pieces, hasTrailer) => {
        await assert.rejects(
          pass(
            pieces.map((piece) => Buffer.from(piece)),
            held,
            real,
            hasTrailer,
          ),
        );
      },
    ),
  );
  await assert.rejects(pass([Buffer.from(`100001;chunk-signature=${"0".repeat(64)}\r\n`)]), /more than 1048576 bytes/);
  await assert.rejects(pass([Buffer.alloc(10_000, "a")]), /line is too long/);
  const last = signed([""]).slice(0, -2);
  await assert.rejects(pass([Buffer.from(`${last}\r\n`)], held, real, true), /no signature/);
  await assert.rejects(pass([Buffer.from(last + "a: b\r\n".repeat(40))], held, real, true), /goes on/);
});
