import assert from "node:assert/strict";
import { test } from "node:test";
import { Counter, Histogram, renderLooked } from "./figures.ts";

test("counters and gauges are written with their labels", () => {
  const counter = new Counter({ name: "calls_total", help: "Calls." });
  counter.add({ server: "git", tool: 'a"b\\c\nd' });
  counter.add({ server: "git", tool: 'a"b\\c\nd' }, 2);
  assert.equal(
    counter.render(),
    '# HELP calls_total Calls.\n# TYPE calls_total counter\ncalls_total{server="git",tool="a\\"b\\\\c\\nd"} 3\n',
  );
  assert.equal(
    renderLooked({ name: "up", help: "Up." }, "gauge", [{ value: 1 }]),
    "# HELP up Up.\n# TYPE up gauge\nup 1\n",
  );
});

test("buckets add up, and have all that is larger in the last", () => {
  const histogram = new Histogram({ name: "s", help: "Seconds.", bounds: [0.1, 1] });
  for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe({ kind: "x" }, value);
  assert.deepEqual(histogram.render().trimEnd().split("\n").slice(2), [
    's_bucket{kind="x",le="0.1"} 2',
    's_bucket{kind="x",le="1"} 3',
    's_bucket{kind="x",le="+Inf"} 4',
    's_sum{kind="x"} 7.65',
    's_count{kind="x"} 4',
  ]);
});

test("names without end are one series beyond a number", () => {
  const counter = new Counter({ name: "c", help: "C.", maxSeries: 3 });
  for (let count = 0; count < 100; count++) counter.add({ tool: `tool-${count}` });
  counter.add({ tool: "tool-1" });
  assert.deepEqual(counter.render().trimEnd().split("\n").slice(2), [
    'c{tool="tool-0"} 1',
    'c{tool="tool-1"} 2',
    'c{tool="tool-2"} 1',
    'c{tool="other"} 97',
  ]);
});
