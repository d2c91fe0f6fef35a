import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readTraceContext, traceHeaders, writeTraceContext } from "./trace-context.ts";

const [TRACE, SPAN] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"];
const PARENT = `00-${TRACE}-${SPAN}-01`;

test("a traceparent is read, and written as version 00", () => {
  assert.deepEqual(readTraceContext({ traceparent: PARENT }), { span: { traceId: TRACE, spanId: SPAN, flags: 1 } });
  for (const later of [`01-${TRACE}-${SPAN}-01`, `cc-${TRACE}-${SPAN}-01-more`, `00-${TRACE}-${SPAN}-fd`])
    assert.deepEqual(writeTraceContext(readTraceContext({ traceparent: later }) ?? {}), { traceparent: PARENT }, later);
});

test("what is no traceparent is as good as none, and its tracestate with it", () => {
  for (const traceparent of [
    undefined,
    null,
    7,
    {},
    [PARENT],
    "",
    `${PARENT}-more`,
    `${PARENT} `,
    ` ${PARENT}`,
    `${PARENT}\n`,
    PARENT.toUpperCase(),
    `ff-${TRACE}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.slice(1)}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-1`,
    `01-${TRACE}-${SPAN}-01-${"x".repeat(300)}`,
  ])
    assert.equal(readTraceContext({ traceparent, tracestate: "a=b" }), undefined, JSON.stringify(traceparent));
});

test("a tracestate that is wrong in part is left out, and the rest stays", () => {
  const span = { traceId: TRACE, spanId: SPAN, flags: 1 };
  const read = (tracestate: unknown) => readTraceContext({ traceparent: PARENT, tracestate })?.span?.tracestate;
  assert.equal(read("rojo=00f067aa0ba902b7, t@congo=x y,,"), "rojo=00f067aa0ba902b7,t@congo=x y");
  for (const wrong of [
    "",
    ",",
    "a",
    "a=",
    "A=b",
    "a=b=c",
    "a=b\r\nx: y",
    "a=é",
    "a=b,c",
    `a=${"x".repeat(600)}`,
    ["a=b"],
  ])
    assert.equal(read(wrong), undefined, JSON.stringify(wrong));
  assert.equal(read(Array.from({ length: 33 }, (_, index) => `k${index}=v`).join()), undefined);
  const context = readTraceContext({ traceparent: PARENT, tracestate: "wrong", baggage: "a=b" });
  assert.deepEqual(context, { span, baggage: "a=b" });
});

test("baggage goes on without a trace, too", () => {
  const read = (baggage: unknown) => readTraceContext({ baggage })?.baggage;
  assert.equal(read("userId=alice, serverNode=DF%2028;ttl=5 ,flag="), "userId=alice,serverNode=DF%2028;ttl=5,flag=");
  for (const wrong of ["", "a", "a b=c", 'a="b"', "a=b\nc: d", "a=é", "a=\\", `a=${"x".repeat(9_000)}`, 5])
    assert.equal(read(wrong), undefined, JSON.stringify(wrong));
});

test("headers say what a message's _meta does", () => {
  assert.deepEqual(traceHeaders({ _meta: { traceparent: PARENT, other: "x" } }), { traceparent: PARENT });
  for (const params of [undefined, null, {}, { _meta: null }, { _meta: "x" }, { _meta: [PARENT] }])
    assert.deepEqual(traceHeaders(params), {});
});

test("whatever comes, what is written is a header's value, and is read as the same again", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 120 }),
    fc.stringMatching(/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-x)?$/),
    fc.stringMatching(/^[ a-z0-9@=,;\t]{0,80}$/),
  );
  const source = fc.record({ traceparent: text, tracestate: text, baggage: text }, { requiredKeys: [] });
  fc.assert(
    fc.property(source, (given) => {
      const context = readTraceContext(given);
      if (context === undefined) return;
      const written = writeTraceContext(context);
      for (const value of Object.values(written)) assert.match(value, /^[\t\x20-\x7e]+$/);
      assert.deepEqual(readTraceContext(written), context);
    }),
    { numRuns: 500 },
  );
});
