import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseClaim, readClaims } from "./aws-claim.ts";
import { findSigning } from "./aws-signing.ts";
import { canonicalRequest, EMPTY_SHA256, readingsOf, signingKey, signText, stringToSign } from "./aws-sigv4.ts";

const KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const scope = { time: "20130524T000000Z", region: "us-east-1", service: "s3" };
const CREDENTIAL = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
const host = ["Host", "examplebucket.s3.amazonaws.com"] as const;

function sign(target: string, headers: (readonly [string, string])[], names: string[], hash: string): string {
  const message = { method: "GET", target, headers };
  const [reading] = readingsOf(target);
  assert.ok(reading !== undefined);
  return signText(signingKey(KEY, scope), stringToSign(scope, canonicalRequest(message, names, hash, reading)));
}

test("the examples of the Amazon S3 API Reference have their signatures", () => {
  const time = ["x-amz-date", scope.time] as const;
  const hash = ["x-amz-content-sha256", EMPTY_SHA256] as const;
  assert.equal(
    sign(
      "/test.txt",
      [host, ["Range", "bytes=0-9"], hash, time],
      ["host", "range", "x-amz-content-sha256", "x-amz-date"],
      EMPTY_SHA256,
    ),
    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
  );
  assert.equal(
    sign("/?lifecycle", [host, hash, time], ["host", "x-amz-content-sha256", "x-amz-date"], EMPTY_SHA256),
    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
  );
  const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${encodeURIComponent(CREDENTIAL)}&X-Amz-Date=${scope.time}&X-Amz-Expires=86400&X-Amz-SignedHeaders=host`;
  const signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
  assert.equal(
    sign(`/test.txt?${query}&X-Amz-Signature=${signature}`, [host], ["host"], "UNSIGNED-PAYLOAD"),
    signature,
  );
});

test("a signature is read where it is, and several are told apart", () => {
  const authorization = `AWS4-HMAC-SHA256 Credential=${CREDENTIAL},SignedHeaders=host;x-amz-date, Signature=${"0".repeat(64)}`;
  const headers = [host, ["X-Amz-Date", scope.time], ["Authorization", authorization]] as const;
  const [claim, ...others] = readClaims({ method: "GET", target: "/", headers });
  assert.ok(claim !== undefined && others.length === 0);
  assert.deepEqual(parseClaim(claim), {
    scope,
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    signedHeaders: ["host", "x-amz-date"],
    signature: "0".repeat(64),
    isPresigned: false,
  });
  for (const [part, other] of [
    ["host;", ""],
    ["host;", "Host;"],
    ["host;", "host;host;"],
    ["/s3/", "/s3\u00a0/"],
    ["20130524", "20130525"],
    ["00000", "zzzzz"],
    ["aws4_request", "aws4"],
  ] as const) {
    const changed = authorization.replace(part, other);
    const [bad] = readClaims({ method: "GET", target: "/", headers: [headers[1], ["Authorization", changed]] });
    assert.ok(bad !== undefined && "why" in parseClaim(bad), changed);
  }
  const target = `/?X-Amz-Credential=${CREDENTIAL}&X-Amz-Credential=other`;
  assert.equal(readClaims({ method: "GET", target, headers }).length, 2);
});

test("no request of a guest throws, or is signed without a signature", () => {
  const id = { name: "ID", placeholder: "AKIAHELD", value: () => "AKIAREAL" };
  const key = {
    ...{ name: "KEY", placeholder: "held", value: () => "real", hosts: [], places: [], expose: "proxy" as const },
    aws: { accessKeyId: id },
  };
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "AWS4-HMAC-SHA256 ",
      "Credential=AKIAHELD/20130524/r/s/aws4_request",
      ",",
      "SignedHeaders=host",
      "=",
    ),
    fc.constantFrom(
      "&X-Amz-Credential=AKIAHELD/",
      "&X-Amz-Signature=",
      "%",
      "%zz",
      "+",
      ";",
      "&X-Amz-Date=20130524T000000Z",
    ),
  );
  const texts = fc.array(text, { maxLength: 8 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(texts, texts, texts, (query, authorization, hash) => {
      const headers = [host, ["authorization", authorization], ["x-amz-content-sha256", hash]] as const;
      const found = findSigning({ method: "GET", target: `/?${query}`, headers }, [{ secret: key, isForHost: true }]);
      const refusal = found === undefined || "why" in found ? found : found.refuse(undefined);
      assert.ok(found === undefined || refusal !== undefined);
    }),
  );
});
